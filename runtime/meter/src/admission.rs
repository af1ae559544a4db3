//! Reads a module once and refuses what `haar-wasm/1` leaves out, by name and byte offset.
//!
//! This comes before validation, so that an author reads "the module uses threads" and not the
//! validator's "invalid opcode". It trusts nothing: indices are looked up, counts are capped
//! before anything grows, and what it lets through the validator still judges.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{
    CompositeInnerType, DataKind, ElementKind, ExternalKind, FuncType, GlobalType, MemoryType,
    Parser, Payload, TableInit, TableType, TypeRef, ValType,
};

use crate::callgraph::{self, CallGraph, Calls};
use crate::constants::{Constant, read_constant, read_functions, read_offset};
use crate::fuel::{EXPORT_MEMORY, RESERVED_PREFIX, SECTION_MANIFEST};
use crate::imports::{Lookup, look_up};
use crate::limits;
use crate::rejected::{Feature, Rejected, place};
use crate::{GuestKind, Profile, body};

/// An admitted module, taken apart into what the pass writes again.
#[derive(Debug, Default)]
pub(crate) struct Module<'a> {
    pub(crate) types: Vec<FuncType>,
    pub(crate) imports: Vec<Import<'a>>,
    /// The type of each defined function.
    pub(crate) functions: Vec<u32>,
    pub(crate) table: Option<TableType>,
    pub(crate) memory: Option<MemoryType>,
    pub(crate) globals: Vec<(GlobalType, Constant)>,
    pub(crate) exports: Vec<Export<'a>>,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<Elements>,
    pub(crate) has_data_count: bool,
    pub(crate) data: Vec<Data<'a>>,
    pub(crate) manifest: Option<&'a [u8]>,
    pub(crate) grows_memory: bool,
    /// The type that stands for each type: equal ones are one.
    pub(crate) unified: Vec<u32>,
    calls: Calls,
}

/// An imported function.
#[derive(Debug)]
pub(crate) struct Import<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
    pub(crate) ty: u32,
}

/// An export, with the byte at which it stands.
#[derive(Debug)]
pub(crate) struct Export<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: ExternalKind,
    pub(crate) index: u32,
    offset: usize,
}

/// An active element segment: functions, or holes that trap when called.
#[derive(Debug)]
pub(crate) struct Elements {
    pub(crate) at: u32,
    pub(crate) functions: Vec<Option<u32>>,
}

/// A data segment; without a place it is passive.
#[derive(Debug)]
pub(crate) struct Data<'a> {
    pub(crate) at: Option<u32>,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Module<'a> {
    /// Takes `bytes` apart, or says why the profile does not admit them.
    pub(crate) fn read(bytes: &'a [u8], profile: &Profile) -> Result<Self, Rejected> {
        cap(
            "bytes",
            bytes.len() as u64,
            limits::MODULE_BYTES_MAX as u64,
            None,
        )?;
        let mut module = Module::default();
        let mut bodies = body::Scan::default();
        for payload in Parser::new(0).parse_all(bytes) {
            module.read_section(payload?, profile, &mut bodies)?;
        }
        module.check_memory(profile)?;
        module.unified = callgraph::unify(&module.types);
        Ok(module)
    }

    fn read_section(
        &mut self,
        payload: Payload<'a>,
        profile: &Profile,
        bodies: &mut body::Scan,
    ) -> Result<(), Rejected> {
        match payload {
            Payload::Version {
                encoding, range, ..
            } => {
                if encoding != wasmparser::Encoding::Module {
                    return Err(invalid(range.start, "a component, not a core module"));
                }
            }
            Payload::TypeSection(section) => self.read_types(section, profile)?,
            Payload::ImportSection(section) => self.read_imports(section)?,
            Payload::FunctionSection(section) => self.read_functions(section)?,
            Payload::TableSection(section) => self.read_tables(section)?,
            Payload::MemorySection(section) => self.read_memories(section)?,
            Payload::TagSection(section) => {
                return Err(feature(Feature::Exceptions, section.range().start));
            }
            Payload::GlobalSection(section) => self.read_globals(section, profile)?,
            Payload::ExportSection(section) => self.read_exports(section)?,
            Payload::StartSection { func, range } => self.read_start(func, &range)?,
            Payload::ElementSection(section) => self.read_elements(section)?,
            Payload::DataCountSection { count, range } => {
                let at = Some(place(range.start));
                cap("data segments", count.into(), limits::DATA_SEGMENTS_MAX, at)?;
                self.has_data_count = true;
            }
            Payload::DataSection(section) => self.read_data(section)?,
            Payload::CodeSectionStart { .. } => {}
            Payload::CodeSectionEntry(body) => {
                let mut calls = std::mem::take(&mut self.calls);
                self.grows_memory |= bodies.read(&body, self, &mut calls, profile)?;
                self.calls = calls;
            }
            Payload::CustomSection(section) => {
                if section.name() == SECTION_MANIFEST {
                    self.read_manifest(section.data(), section.range().start)?;
                }
            }
            Payload::End(_) => {}
            other => {
                let at = other.as_section().map_or(0, |(_, range)| range.start);
                return Err(invalid(at, "an unknown section"));
            }
        }
        Ok(())
    }

    fn read_types(
        &mut self,
        section: wasmparser::TypeSectionReader<'a>,
        profile: &Profile,
    ) -> Result<(), Rejected> {
        for group in section.into_iter_with_offsets() {
            let (offset, group) = group?;
            let at = Some(place(offset));
            cap("types", self.types.len() as u64 + 1, limits::TYPES_MAX, at)?;
            if group.is_explicit_rec_group() {
                return Err(feature(Feature::Gc, offset));
            }
            for ty in group.types() {
                if ty.composite_type.shared {
                    return Err(feature(Feature::Threads, offset));
                }
                let CompositeInnerType::Func(function) = &ty.composite_type.inner else {
                    return Err(feature(Feature::Gc, offset));
                };
                cap(
                    "parameters",
                    function.params().len() as u64,
                    limits::PARAMS_MAX,
                    at,
                )?;
                cap(
                    "results",
                    function.results().len() as u64,
                    limits::RESULTS_MAX,
                    at,
                )?;
                for value in function.params().iter().chain(function.results()) {
                    admit_value(*value, profile, offset)?;
                }
                self.types.push(function.clone());
            }
        }
        Ok(())
    }

    fn read_imports(
        &mut self,
        section: wasmparser::ImportSectionReader<'a>,
    ) -> Result<(), Rejected> {
        for import in section.into_imports_with_offsets() {
            let (offset, import) = import?;
            let at = place(offset);
            cap(
                "imports",
                self.imports.len() as u64 + 1,
                limits::IMPORTS_MAX,
                Some(at),
            )?;
            let name = shorten(&format!(
                "{}.{}",
                shorten(import.module),
                shorten(import.name)
            ));
            for part in [import.module, import.name] {
                if part.starts_with(RESERVED_PREFIX) {
                    return Err(Rejected::Reserved {
                        name: shorten(part),
                        offset: at,
                    });
                }
            }
            let ty = imported_type(import.ty, offset)?;
            let signature = self.type_at(ty, offset)?;
            let problem = match look_up(import.module, import.name, signature) {
                Lookup::Admitted => {
                    self.imports.push(Import {
                        module: import.module,
                        name: import.name,
                        ty,
                    });
                    continue;
                }
                Lookup::UnknownName => "is not a function of the host",
                Lookup::WrongType if crosses_badly(signature) => {
                    return Err(Rejected::BoundaryFloat { name, offset: at });
                }
                Lookup::WrongType => "has the wrong type",
            };
            return Err(Rejected::Import {
                name,
                problem,
                offset: at,
            });
        }
        Ok(())
    }

    fn read_functions(
        &mut self,
        section: wasmparser::FunctionSectionReader<'a>,
    ) -> Result<(), Rejected> {
        for ty in section.into_iter_with_offsets() {
            let (offset, ty) = ty?;
            let count = (self.imports.len() + self.functions.len()) as u64 + 1;
            cap(
                "functions",
                count,
                limits::FUNCTIONS_MAX,
                Some(place(offset)),
            )?;
            self.type_at(ty, offset)?;
            self.functions.push(ty);
        }
        Ok(())
    }

    fn read_tables(&mut self, section: wasmparser::TableSectionReader<'a>) -> Result<(), Rejected> {
        for table in section.into_iter_with_offsets() {
            let (offset, table) = table?;
            let at = place(offset);
            let refuse = |what| Err(Rejected::Table { what, offset: at });
            if self.table.is_some() {
                return refuse("a second table");
            }
            if table.ty.table64 {
                return Err(feature(Feature::Memory, offset));
            }
            if table.ty.shared {
                return Err(feature(Feature::Threads, offset));
            }
            if table.ty.element_type != wasmparser::RefType::FUNCREF {
                return refuse("a table of anything but functions");
            }
            if !matches!(table.init, TableInit::RefNull) {
                return refuse("a table with a first value");
            }
            cap(
                "table entries",
                table.ty.initial,
                limits::TABLE_ENTRIES_MAX,
                Some(at),
            )?;
            self.table = Some(table.ty);
        }
        Ok(())
    }

    fn read_memories(
        &mut self,
        section: wasmparser::MemorySectionReader<'a>,
    ) -> Result<(), Rejected> {
        for memory in section.into_iter_with_offsets() {
            let (offset, memory) = memory?;
            if memory.shared {
                return Err(feature(Feature::Threads, offset));
            }
            if self.memory.is_some() || memory.memory64 || memory.page_size_log2.is_some() {
                return Err(feature(Feature::Memory, offset));
            }
            self.memory = Some(memory);
        }
        Ok(())
    }

    fn read_globals(
        &mut self,
        section: wasmparser::GlobalSectionReader<'a>,
        profile: &Profile,
    ) -> Result<(), Rejected> {
        for global in section.into_iter_with_offsets() {
            let (offset, global) = global?;
            let at = Some(place(offset));
            cap(
                "globals",
                self.globals.len() as u64 + 1,
                limits::GLOBALS_MAX,
                at,
            )?;
            if global.ty.shared {
                return Err(feature(Feature::Threads, offset));
            }
            admit_value(global.ty.content_type, profile, offset)?;
            let constant = read_constant(&global.init_expr, profile)?;
            self.globals.push((global.ty, constant));
        }
        Ok(())
    }

    fn read_exports(
        &mut self,
        section: wasmparser::ExportSectionReader<'a>,
    ) -> Result<(), Rejected> {
        for export in section.into_iter_with_offsets() {
            let (offset, export) = export?;
            let at = place(offset);
            cap(
                "exports",
                self.exports.len() as u64 + 1,
                limits::EXPORTS_MAX,
                Some(at),
            )?;
            if export.name.starts_with(RESERVED_PREFIX) {
                return Err(Rejected::Reserved {
                    name: shorten(export.name),
                    offset: at,
                });
            }
            self.check_export(&export, offset)?;
            let (name, kind, index) = (export.name, export.kind, export.index);
            self.exports.push(Export {
                name,
                kind,
                index,
                offset: at,
            });
        }
        Ok(())
    }

    fn check_export(&self, export: &wasmparser::Export<'_>, offset: u64) -> Result<(), Rejected> {
        let at = place(offset);
        let boundary = || Rejected::BoundaryFloat {
            name: shorten(export.name),
            offset: at,
        };
        match export.kind {
            ExternalKind::Func if (export.index as usize) < self.imports.len() => {
                let name = shorten(export.name);
                Err(Rejected::Import {
                    name,
                    problem: "is exported again",
                    offset: at,
                })
            }
            ExternalKind::Func => match self.signature(export.index) {
                Some(ty) if crosses_badly(ty) => Err(boundary()),
                Some(_) => Ok(()),
                None => Err(invalid(offset, "an export of an unknown function")),
            },
            ExternalKind::Global => match self.globals.get(export.index as usize) {
                Some((ty, _)) if ty.mutable && !is_integer(ty.content_type) => Err(boundary()),
                _ => Ok(()),
            },
            ExternalKind::Memory => Ok(()),
            ExternalKind::Table => Err(Rejected::Table {
                what: "an exported table",
                offset: at,
            }),
            ExternalKind::Tag => Err(feature(Feature::Exceptions, offset)),
            ExternalKind::FuncExact => Err(feature(Feature::Gc, offset)),
        }
    }

    fn read_start(&mut self, function: u32, range: &Range<u64>) -> Result<(), Rejected> {
        if (function as usize) < self.imports.len() {
            let name = String::from("start");
            let problem = "is an import used as the start function";
            return Err(Rejected::Import {
                name,
                problem,
                offset: place(range.start),
            });
        }
        self.start = Some(function);
        Ok(())
    }

    fn read_elements(
        &mut self,
        section: wasmparser::ElementSectionReader<'a>,
    ) -> Result<(), Rejected> {
        let mut entries = 0;
        for segment in section.into_iter_with_offsets() {
            let (offset, segment) = segment?;
            let at = place(offset);
            let count = self.elements.len() as u64 + 1;
            cap(
                "element segments",
                count,
                limits::ELEMENT_SEGMENTS_MAX,
                Some(at),
            )?;
            let ElementKind::Active {
                table_index,
                offset_expr,
            } = segment.kind
            else {
                let what = "a passive or declared element segment";
                return Err(Rejected::Table { what, offset: at });
            };
            if table_index.unwrap_or(0) != 0 {
                return Err(Rejected::Table {
                    what: "a second table",
                    offset: at,
                });
            }
            let start = read_offset(&offset_expr)?;
            let functions = read_functions(segment.items, &mut entries, offset)?;
            if let Some(table) = &self.table {
                let end = u64::from(start) + functions.len() as u64;
                within(end, table.initial, offset)?;
            }
            self.elements.push(Elements {
                at: start,
                functions,
            });
        }
        Ok(())
    }

    fn read_data(&mut self, section: wasmparser::DataSectionReader<'a>) -> Result<(), Rejected> {
        for segment in section.into_iter_with_offsets() {
            let (offset, segment) = segment?;
            let at = place(offset);
            let count = self.data.len() as u64 + 1;
            cap("data segments", count, limits::DATA_SEGMENTS_MAX, Some(at))?;
            let start = match segment.kind {
                DataKind::Passive => None,
                DataKind::Active {
                    memory_index: 0,
                    offset_expr,
                } => Some(read_offset(&offset_expr)?),
                DataKind::Active { .. } => return Err(feature(Feature::Memory, offset)),
            };
            if let (Some(start), Some(memory)) = (start, &self.memory) {
                let end = u64::from(start) + segment.data.len() as u64;
                within(end, memory.initial.saturating_mul(1 << 16), offset)?;
            }
            self.data.push(Data {
                at: start,
                bytes: segment.data,
            });
        }
        Ok(())
    }

    fn read_manifest(&mut self, bytes: &'a [u8], offset: u64) -> Result<(), Rejected> {
        let at = Some(place(offset));
        cap(
            "haar.manifest bytes",
            bytes.len() as u64,
            limits::MANIFEST_BYTES_MAX,
            at,
        )?;
        cap(
            "haar.manifest sections",
            1 + u64::from(self.manifest.is_some()),
            1,
            at,
        )?;
        self.manifest = Some(bytes);
        Ok(())
    }

    fn check_memory(&self, profile: &Profile) -> Result<(), Rejected> {
        let refuse = |what, offset| Err(Rejected::Memory { what, offset });
        let Some(memory) = &self.memory else {
            return refuse("there is no memory", None);
        };
        cap(
            "initial pages",
            memory.initial,
            profile.pages_max.into(),
            None,
        )?;
        match self
            .exports
            .iter()
            .find(|export| export.name == EXPORT_MEMORY)
        {
            Some(Export {
                kind: ExternalKind::Memory,
                ..
            }) => Ok(()),
            Some(other) => refuse(
                "the export \"memory\" is something else",
                Some(other.offset),
            ),
            None => refuse("the memory is not exported", None),
        }
    }

    /// The entry that the host will call, checked for its type.
    pub(crate) fn kind(&self) -> Result<GuestKind, Rejected> {
        let exports: BTreeMap<&str, &Export<'_>> = self
            .exports
            .iter()
            .map(|export| (export.name, export))
            .collect();
        let require = |name, missing, wrong, params: &[ValType], results: &[ValType]| {
            let Some(export) = exports.get(name) else {
                return Err(Rejected::Entry {
                    what: missing,
                    offset: None,
                });
            };
            match self.signature(export.index) {
                Some(ty)
                    if export.kind == ExternalKind::Func
                        && ty.params() == params
                        && ty.results() == results =>
                {
                    Ok(())
                }
                _ => Err(Rejected::Entry {
                    what: wrong,
                    offset: Some(export.offset),
                }),
            }
        };

        // The marker decides, as the ABI says: a reactor may still carry a `_start`.
        const I: ValType = ValType::I32;
        if !exports.contains_key("haar_abi_v1") {
            let missing = "the module exports no entry";
            require("_start", missing, "_start has the wrong type", &[], &[])?;
            return Ok(GuestKind::Command);
        }
        require(
            "haar_abi_v1",
            "",
            "haar_abi_v1 has the wrong type",
            &[],
            &[I],
        )?;
        let missing = "the reactor does not export haar_alloc";
        require(
            "haar_alloc",
            missing,
            "haar_alloc has the wrong type",
            &[I],
            &[I],
        )?;
        let missing = "the reactor does not export haar_run";
        require(
            "haar_run",
            missing,
            "haar_run has the wrong type",
            &[I, I],
            &[ValType::I64],
        )?;
        Ok(GuestKind::Reactor)
    }

    /// Who calls whom, over the defined functions.
    pub(crate) fn call_graph(&self) -> CallGraph {
        let entries = self.elements.iter().flat_map(|segment| &segment.functions);
        let in_table: Vec<_> = entries
            .flatten()
            .filter_map(|function| {
                let ty = self.function_type(*function)?;
                Some((*function, *self.unified.get(ty as usize)?))
            })
            .collect();
        let imports = self.imports.len() as u32;
        let functions = self.functions.len() as u32;
        CallGraph::new(&self.calls, imports, functions, &self.unified, &in_table)
    }

    /// Whether the host can reach each defined function by a name, or as the start function.
    pub(crate) fn doors(&self) -> Vec<bool> {
        let mut doors = vec![false; self.functions.len()];
        let exported = self.exports.iter();
        let exported = exported.filter(|export| export.kind == ExternalKind::Func);
        for function in exported.map(|export| export.index).chain(self.start) {
            let defined = (function as usize).checked_sub(self.imports.len());
            if let Some(door) = defined.and_then(|defined| doors.get_mut(defined)) {
                *door = true;
            }
        }
        doors
    }

    /// The type index of a function, imported or defined.
    pub(crate) fn function_type(&self, function: u32) -> Option<u32> {
        let index = function as usize;
        match self.imports.get(index) {
            Some(import) => Some(import.ty),
            None => self.functions.get(index - self.imports.len()).copied(),
        }
    }

    /// The type of a function, imported or defined.
    pub(crate) fn signature(&self, function: u32) -> Option<&FuncType> {
        self.types.get(self.function_type(function)? as usize)
    }

    fn type_at(&self, index: u32, offset: u64) -> Result<&FuncType, Rejected> {
        self.types
            .get(index as usize)
            .ok_or_else(|| invalid(offset, "an unknown type"))
    }
}

/// The type of an imported function; nothing else can be imported.
fn imported_type(ty: TypeRef, offset: u64) -> Result<u32, Rejected> {
    let at = place(offset);
    Err(match ty {
        TypeRef::Func(ty) => return Ok(ty),
        TypeRef::Table(_) => Rejected::Table {
            what: "an imported table",
            offset: at,
        },
        TypeRef::Memory(memory) if memory.shared => feature(Feature::Threads, offset),
        TypeRef::Memory(_) => Rejected::Memory {
            what: "a memory is imported",
            offset: Some(at),
        },
        TypeRef::Global(_) => Rejected::Memory {
            what: "a global is imported",
            offset: Some(at),
        },
        TypeRef::Tag(_) => feature(Feature::Exceptions, offset),
        TypeRef::FuncExact(_) => feature(Feature::Gc, offset),
    })
}

/// Refuses the value types that may not occur in types, locals and globals.
pub(crate) fn admit_value(ty: ValType, profile: &Profile, offset: u64) -> Result<(), Rejected> {
    match ty {
        ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => Ok(()),
        ValType::V128 if profile.simd => Ok(()),
        ValType::V128 => Err(feature(Feature::Simd, offset)),
        ValType::Ref(ty) if ty.is_func_ref() || ty.is_extern_ref() => Err(Rejected::Table {
            what: "a reference as a value",
            offset: place(offset),
        }),
        ValType::Ref(_) => Err(feature(Feature::Gc, offset)),
    }
}

/// Counts against a ceiling.
pub(crate) fn cap(
    name: &'static str,
    value: u64,
    max: u64,
    offset: Option<usize>,
) -> Result<(), Rejected> {
    if value > max {
        return Err(Rejected::Limit {
            name,
            value,
            max,
            offset,
        });
    }
    Ok(())
}

pub(crate) fn feature(feature: Feature, offset: u64) -> Rejected {
    Rejected::Feature {
        feature,
        offset: place(offset),
    }
}

pub(crate) fn invalid(offset: u64, message: &str) -> Rejected {
    Rejected::Invalid {
        offset: place(offset),
        message: message.to_owned(),
    }
}

fn within(end: u64, size: u64, offset: u64) -> Result<(), Rejected> {
    if end > size {
        return Err(Rejected::SegmentOutOfBounds {
            end,
            size,
            offset: place(offset),
        });
    }
    Ok(())
}

fn is_integer(ty: ValType) -> bool {
    matches!(ty, ValType::I32 | ValType::I64)
}

fn crosses_badly(ty: &FuncType) -> bool {
    !ty.params()
        .iter()
        .chain(ty.results())
        .all(|ty| is_integer(*ty))
}

/// A name fit for a message: hostile modules have names of any length.
fn shorten(name: &str) -> String {
    const NAME_CHARS_MAX: usize = 60;
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
