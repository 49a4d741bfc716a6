//! stub
use crate::{agreement::DeflateAgreement, config::DeflateConfig, encoder::Compression, wire::Role};
use bytes::BytesMut;
pub(crate) struct Deflate;
#[derive(PartialEq)]
pub(crate) enum Compressed {
    Yes,
    No,
}
pub(crate) enum InflateError {
    TooBig {
        #[allow(dead_code)]
        limit: usize,
    },
    Broken,
}
impl Deflate {
    pub(crate) fn new(_: Role, _: DeflateAgreement, _: &DeflateConfig) -> Self {
        Self
    }
    pub(crate) fn compress(&mut self, _: &[u8], _: Compression, _: &mut Vec<u8>) -> Compressed {
        Compressed::No
    }
    pub(crate) fn compress_part(&mut self, p: &[u8], _: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(p);
    }
    pub(crate) fn inflate(
        &mut self,
        _: &[u8],
        _: &mut BytesMut,
        limit: usize,
    ) -> Result<(), InflateError> {
        if limit == 0 { Err(InflateError::TooBig { limit }) } else { Err(InflateError::Broken) }
    }
    pub(crate) fn finish_message(
        &mut self,
        _: &mut BytesMut,
        _: usize,
    ) -> Result<(), InflateError> {
        Ok(())
    }
}
