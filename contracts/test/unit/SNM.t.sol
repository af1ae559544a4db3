// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

import {System} from "../base/System.sol";

contract SNMTest is System {
    bytes32 private constant TRANSFER = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant NONCE = keccak256("nonce");

    function test_Domain_IsWhatX402IsTold() public view {
        (, string memory name, string memory version, uint256 chainId, address where,,) = snm.eip712Domain();
        assertEq(keccak256(bytes(name)), keccak256("Haar"), "name");
        assertEq(keccak256(bytes(version)), keccak256("1"), "version");
        assertEq(keccak256(bytes(snm.version())), keccak256("1"), "version()");
        assertEq(chainId, block.chainid, "chain");
        assertEq(where, address(snm), "address");
        assertEq(keccak256(bytes(snm.CLOCK_MODE())), keccak256("mode=timestamp"), "clock");
        assertEq(snm.clock(), block.timestamp, "now");
    }

    function test_TransferWithAuthorization_PaysByASignatureInOnePiece() public {
        bytes memory sig = authorize(TRANSFER, address(hub), 7e18);
        snm.transferWithAuthorization(miner, address(hub), 7e18, 0, type(uint48).max, NONCE, sig);
        assertEq(snm.balanceOf(address(hub)), 7e18, "paid");
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, miner, NONCE));
        snm.transferWithAuthorization(miner, address(hub), 7e18, 0, type(uint48).max, NONCE, sig);
    }

    function test_TransferWithAuthorization_RevertIf_AnotherAmountWasSigned() public {
        bytes memory sig = authorize(TRANSFER, address(hub), 7e18);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        snm.transferWithAuthorization(miner, address(hub), 8e18, 0, type(uint48).max, NONCE, sig);
    }

    function test_ReceiveWithAuthorization_OnlyByThePayee() public {
        bytes memory sig = authorize(RECEIVE, STRANGER, 7e18);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, STRANGER));
        snm.receiveWithAuthorization(miner, STRANGER, 7e18, 0, type(uint48).max, NONCE, sig);
        vm.prank(STRANGER);
        snm.receiveWithAuthorization(miner, STRANGER, 7e18, 0, type(uint48).max, NONCE, sig);
        assertEq(snm.balanceOf(STRANGER), 7e18, "received");
    }

    function authorize(bytes32 kind, address to, uint256 value) private view returns (bytes memory) {
        bytes32 record =
            keccak256(abi.encode(kind, miner, to, value, uint256(0), uint256(type(uint48).max), NONCE));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", snm.DOMAIN_SEPARATOR(), record));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(MINER_KEY, digest);
        return abi.encodePacked(r, s, v);
    }
}
