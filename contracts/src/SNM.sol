// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";

/// @title SNM, the money of Haar
/// @notice A fixed supply, minted once. It can be paid by a signature alone (ERC-2612, ERC-3009), and it votes
/// by time instead of block number, so that voting periods mean the same on every chain.
contract SNM is ERC20, ERC20Permit, ERC20Votes, ERC3009 {
    constructor(address holder, uint256 supply) ERC20("Haar", "SNM") ERC20Permit("Haar") {
        _mint(holder, supply);
    }

    /// @notice As the ERC-3009 function of this name, with the signature in one piece.
    /// @dev OpenZeppelin has only the (v, r, s) form; x402's deposit collector calls this one.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        bytes32 typeHash = TRANSFER_WITH_AUTHORIZATION_TYPEHASH;
        bytes32 record = keccak256(abi.encode(typeHash, from, to, value, validAfter, validBefore, nonce));
        _requireSigned(from, record, signature);

        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    /// @notice As the ERC-3009 function of this name, with the signature in one piece.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        // Only the payee may use it: otherwise anybody could separate the payment from the call it belongs to.
        if (to != msg.sender) revert ERC20InvalidReceiver(to);
        bytes32 typeHash = RECEIVE_WITH_AUTHORIZATION_TYPEHASH;
        bytes32 record = keccak256(abi.encode(typeHash, from, to, value, validAfter, validBefore, nonce));
        _requireSigned(from, record, signature);

        _transferWithAuthorization(from, to, value, validAfter, validBefore, nonce);
    }

    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @notice The version in the EIP-712 domain, which x402 asks for by this name.
    function version() external pure returns (string memory) {
        return "1";
    }

    function nonces(address holder) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(holder);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }

    function _requireSigned(address from, bytes32 record, bytes calldata signature) private view {
        address signer = ECDSA.recoverCalldata(_hashTypedDataV4(record), signature);
        if (signer != from) revert ERC3009InvalidSignature();
    }
}
