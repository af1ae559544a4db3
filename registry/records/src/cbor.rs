//! CBOR forms of what minicbor does not know: `#[cbor(with = "…")]`.

/// CBOR form of an address.
pub mod address {
    use alloy_primitives::Address;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    /// Writes the bytes.
    pub fn encode<C, W: Write>(
        value: &Address,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(value.as_slice())?.ok()
    }

    /// Reads exactly as many bytes.
    pub fn decode<'b, C>(
        d: &mut Decoder<'b>,
        _: &mut C,
    ) -> Result<Address, minicbor::decode::Error> {
        let bytes = <[u8; 20]>::try_from(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("an address has 20 bytes"))?;
        Ok(Address::from(bytes))
    }
}

/// CBOR form of a 32-byte word.
pub mod word {
    use alloy_primitives::B256;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    /// Writes the bytes.
    pub fn encode<C, W: Write>(
        value: &B256,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(value.as_slice())?.ok()
    }

    /// Reads exactly as many bytes.
    pub fn decode<'b, C>(d: &mut Decoder<'b>, _: &mut C) -> Result<B256, minicbor::decode::Error> {
        let bytes = <[u8; 32]>::try_from(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("a word has 32 bytes"))?;
        Ok(B256::from(bytes))
    }
}
