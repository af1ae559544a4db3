//! The type section of a metered module: the original types, their threaded forms, a few more.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, TypeSection, ValType};
use wasmparser::FuncType;

/// Parameters and results.
type Signature = (Vec<ValType>, Vec<ValType>);

/// All types, with indices that never move: type `t` keeps its index, because blocks still refer
/// to it, and its threaded form is `t` + the number of original types.
#[derive(Debug)]
pub(crate) struct Types {
    original: Vec<Signature>,
    more: Vec<Signature>,
    /// The threaded forms without depth that are in use.
    flat: Vec<Option<u32>>,
    found: BTreeMap<Signature, u32>,
}

impl Types {
    pub(crate) fn new(types: &[FuncType]) -> Self {
        let original = types
            .iter()
            .map(|ty| (encode_all(ty.params()), encode_all(ty.results())));
        Self {
            original: original.collect(),
            more: Vec::new(),
            flat: vec![None; types.len()],
            found: BTreeMap::new(),
        }
    }

    /// The index of the threaded form of type `ty`: fuel and depth come last, fuel comes back.
    pub(crate) fn threaded(&self, ty: u32) -> u32 {
        ty + self.original.len() as u32
    }

    /// The index of the threaded form of type `ty` without depth.
    pub(crate) fn threaded_flat(&mut self, ty: u32) -> u32 {
        if let Some(found) = self.flat[ty as usize] {
            return found;
        }
        let (mut params, mut results) = self.original[ty as usize].clone();
        params.push(ValType::I64);
        results.push(ValType::I64);
        let added = self.add(params, results);
        self.flat[ty as usize] = Some(added);
        added
    }

    /// The index of a type that the pass needs for itself.
    pub(crate) fn add(&mut self, params: Vec<ValType>, results: Vec<ValType>) -> u32 {
        let next = (2 * self.original.len() + self.more.len()) as u32;
        let signature = (params, results);
        *self.found.entry(signature).or_insert_with_key(|signature| {
            self.more.push(signature.clone());
            next
        })
    }

    /// The type of a block that takes nothing and leaves `results`.
    pub(crate) fn block(&mut self, results: &[ValType]) -> BlockType {
        match results {
            [] => BlockType::Empty,
            [one] => BlockType::Result(*one),
            many => BlockType::FunctionType(self.add(Vec::new(), many.to_vec())),
        }
    }

    pub(crate) fn section(&self) -> TypeSection {
        let mut section = TypeSection::new();
        for (params, results) in &self.original {
            section
                .ty()
                .function(params.iter().copied(), results.iter().copied());
        }
        for (params, results) in &self.original {
            let params = params.iter().copied().chain([ValType::I64, ValType::I32]);
            let results = results.iter().copied().chain([ValType::I64]);
            section
                .ty()
                .function(params.collect::<Vec<_>>(), results.collect::<Vec<_>>());
        }
        for (params, results) in &self.more {
            section
                .ty()
                .function(params.iter().copied(), results.iter().copied());
        }
        section
    }
}

pub(crate) fn encode_all(types: &[wasmparser::ValType]) -> Vec<ValType> {
    types.iter().map(|ty| encode(*ty)).collect()
}

pub(crate) fn encode(ty: wasmparser::ValType) -> ValType {
    match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        // Admission lets no reference through. Should it ever, the second validation refuses.
        wasmparser::ValType::Ref(_) => ValType::FUNCREF,
    }
}
