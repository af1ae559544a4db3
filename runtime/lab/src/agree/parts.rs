//! A module taken apart into what its sections hold, so that others can put it together anew.

use anyhow::{Context, Result, bail};
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    DataSection, ElementSection, FunctionSection, TableSection, TypeSection, ValType,
};
use wasmparser::{
    CompositeInnerType, Data, Element, Export, FuncType, FunctionBody, Global, Import, MemoryType,
    Parser, Payload, Table, TypeRef,
};

/// What a module of Wasm 2.0 is made of.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) types: Vec<FuncType>,
    pub(crate) imports: Vec<Import<'a>>,
    /// The types of the defined functions.
    pub(crate) functions: Vec<u32>,
    pub(crate) tables: Vec<Table<'a>>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) globals: Vec<Global<'a>>,
    pub(crate) exports: Vec<Export<'a>>,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<Element<'a>>,
    pub(crate) data_count: Option<u32>,
    pub(crate) data: Vec<Data<'a>>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Parts<'a> {
    /// Reads a module that is known to be valid.
    pub(crate) fn read(module: &'a [u8]) -> Result<Self> {
        let mut parts = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            parts.take(payload.context("the module does not parse")?)?;
        }
        Ok(parts)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    for ty in group?.into_types() {
                        match ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => self.types.push(ty),
                            _ => bail!("a type that is no function's"),
                        }
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.imports.push(import?);
                }
            }
            Payload::FunctionSection(section) => collect(&mut self.functions, section)?,
            Payload::TableSection(section) => collect(&mut self.tables, section)?,
            Payload::MemorySection(section) => collect(&mut self.memories, section)?,
            Payload::GlobalSection(section) => collect(&mut self.globals, section)?,
            Payload::ExportSection(section) => collect(&mut self.exports, section)?,
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => collect(&mut self.elements, section)?,
            Payload::DataCountSection { count, .. } => self.data_count = Some(count),
            Payload::DataSection(section) => collect(&mut self.data, section)?,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            _ => {}
        }
        Ok(())
    }

    /// The types of the imported functions.
    pub(crate) fn imported_functions(&self) -> impl Iterator<Item = u32> {
        self.imports.iter().filter_map(|import| match import.ty {
            TypeRef::Func(ty) => Some(ty),
            _ => None,
        })
    }

    /// The type of a function by its index, imported ones first.
    pub(crate) fn type_of(&self, function: u32) -> Option<&FuncType> {
        let mut all = self
            .imported_functions()
            .chain(self.functions.iter().copied());
        let ty = all.nth(function as usize)?;
        self.types.get(ty as usize)
    }

    /// How many functions there are, imported ones included.
    pub(crate) fn function_count(&self) -> u32 {
        (self.imported_functions().count() + self.functions.len()) as u32
    }

    /// How many globals there are, imported ones included.
    pub(crate) fn global_count(&self) -> u32 {
        let imported = self
            .imports
            .iter()
            .filter(|import| is_global(import))
            .count();
        (imported + self.globals.len()) as u32
    }

    /// The original types, in their order.
    pub(crate) fn type_section(&self) -> Result<TypeSection> {
        let mut section = TypeSection::new();
        for ty in &self.types {
            section
                .ty()
                .function(values(ty.params())?, values(ty.results())?);
        }
        Ok(section)
    }

    /// The original functions, in their order.
    pub(crate) fn function_section(&self) -> FunctionSection {
        let mut section = FunctionSection::new();
        for ty in &self.functions {
            section.function(*ty);
        }
        section
    }

    /// The original tables.
    pub(crate) fn table_section(&self) -> Result<TableSection> {
        let mut section = TableSection::new();
        for table in &self.tables {
            RoundtripReencoder.parse_table(&mut section, table.clone())?;
        }
        Ok(section)
    }

    /// The element and data segments, with constant expressions written by `reencoder`.
    pub(crate) fn segments<R: Reencode>(
        &self,
        reencoder: &mut R,
    ) -> Result<(ElementSection, DataSection)>
    where
        R::Error: std::error::Error + Send + Sync + 'static,
    {
        let (mut elements, mut data) = (ElementSection::new(), DataSection::new());
        for element in &self.elements {
            reencoder.parse_element(&mut elements, element.clone())?;
        }
        for segment in &self.data {
            reencoder.parse_data(&mut data, segment.clone())?;
        }
        Ok((elements, data))
    }
}

/// Whether an import is a global.
pub(crate) fn is_global(import: &Import<'_>) -> bool {
    matches!(import.ty, TypeRef::Global(_))
}

/// The encoder's names for the parser's types.
pub(crate) fn values(types: &[wasmparser::ValType]) -> Result<Vec<ValType>> {
    let mut all = Vec::with_capacity(types.len());
    for ty in types {
        all.push(RoundtripReencoder.val_type(*ty)?);
    }
    Ok(all)
}

fn collect<T>(
    to: &mut Vec<T>,
    section: impl IntoIterator<Item = wasmparser::Result<T>>,
) -> Result<()> {
    for item in section {
        to.push(item?);
    }
    Ok(())
}
