//! CBOR forms of foreign types, for the journal.

/// CBOR form of an address.
pub(crate) mod address {
    use haar_records::Address;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    pub(crate) fn encode<C, W: Write>(
        value: &Address,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(value.as_slice())?.ok()
    }

    pub(crate) fn decode<'b, C>(
        d: &mut Decoder<'b>,
        _: &mut C,
    ) -> Result<Address, minicbor::decode::Error> {
        let bytes = <[u8; 20]>::try_from(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("an address has 20 bytes"))?;
        Ok(Address::from(bytes))
    }
}

/// CBOR form of a 32-byte word.
pub(crate) mod word {
    use haar_records::B256;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    pub(crate) fn encode<C, W: Write>(
        value: &B256,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(value.as_slice())?.ok()
    }

    pub(crate) fn decode<'b, C>(
        d: &mut Decoder<'b>,
        _: &mut C,
    ) -> Result<B256, minicbor::decode::Error> {
        let bytes = <[u8; 32]>::try_from(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("a word has 32 bytes"))?;
        Ok(B256::from(bytes))
    }
}
