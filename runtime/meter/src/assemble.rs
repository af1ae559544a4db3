//! Writes the metered module: validates and rewrites each body, adds what the pass needs, and puts
//! the sections down in the standard order.

use std::collections::BTreeMap;

use wasm_encoder::{
    CodeSection, ConstExpr, CustomSection, DataCountSection, DataSection, ElementSection, Elements,
    EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    ImportSection, MemorySection, MemoryType, Section, TableSection, TableType, ValType,
};
use wasmparser::ExternalKind;

use crate::admission::{Module, cap};
use crate::bodies::{self, Context, Written};
use crate::constants::Constant;
use crate::emit::Places;
use crate::fuel::{EXPORT_FUEL, EXPORT_START, EXPORT_STATUS, SECTION_MANIFEST, SECTION_METER};
use crate::limits;
use crate::rejected::Rejected;
use crate::schedule::Schedule;
use crate::types::{Types, encode};
use crate::wrappers;
use crate::{COST_VERSION, METER_VERSION, Metered, Profile};

/// Validates `original` and writes its metered form.
pub(crate) fn write(
    original: &[u8],
    module: &Module<'_>,
    profile: &Profile,
    schedule: &Schedule,
) -> Result<Metered, Rejected> {
    let mut writer = Writer::new(module, profile, schedule);
    let places = writer.places;
    let context = Context {
        module,
        profile,
        schedule,
        places: &places,
    };
    let mut bodies = bodies::write(original, &context, &mut writer.types)?;
    writer.code = bodies::section(&mut bodies);
    for body in &bodies {
        writer.functions.function(body.ty);
    }
    writer.write_added(&bodies)?;

    let bytes = writer.finish(original);
    cap(
        "bytes after metering",
        bytes.len() as u64,
        limits::METERED_BYTES_MAX as u64,
        None,
    )?;
    Ok(Metered {
        bytes,
        init_cost: init_cost(module, schedule),
        pages_min: pages_min(module),
        pages_max: pages_max(module, profile),
        kind: module.kind()?,
        manifest: module.manifest.map(<[u8]>::to_vec),
    })
}

fn pages_min(module: &Module<'_>) -> u32 {
    let pages = module.memory.as_ref().map_or(0, |memory| memory.initial);
    u32::try_from(pages).unwrap_or(limits::PAGES_MAX)
}

fn pages_max(module: &Module<'_>, profile: &Profile) -> u32 {
    let asked = module.memory.as_ref().and_then(|memory| memory.maximum);
    let asked = asked.and_then(|pages| u32::try_from(pages).ok());
    asked.unwrap_or(limits::PAGES_MAX).min(profile.pages_max)
}

fn init_cost(module: &Module<'_>, schedule: &Schedule) -> u64 {
    let data: u64 = module
        .data
        .iter()
        .map(|segment| segment.bytes.len() as u64)
        .sum();
    schedule.start(pages_min(module).into(), data)
}

struct Writer<'m> {
    module: &'m Module<'m>,
    profile: &'m Profile,
    schedule: &'m Schedule,
    types: Types,
    places: Places,
    functions: FunctionSection,
    code: CodeSection,
    /// The function that an export or a table entry leads to.
    doors: Doors,
}

/// Which added function stands for which of the original.
#[derive(Debug, Default)]
struct Doors {
    exported: BTreeMap<u32, u32>,
    in_table: BTreeMap<u32, u32>,
}

impl Doors {
    /// Counts the doors from `next` on: exports first, then imports in the table.
    fn new(module: &Module<'_>, mut next: u32) -> Self {
        let mut doors = Self::default();
        let exported = module
            .exports
            .iter()
            .filter(|export| export.kind == ExternalKind::Func)
            .map(|export| export.index);
        for function in exported.chain(module.start) {
            doors.exported.entry(function).or_insert(0);
        }
        let imports = module.imports.len() as u32;
        let in_table = module
            .elements
            .iter()
            .flat_map(|segment| &segment.functions)
            .flatten();
        for function in in_table.filter(|function| **function < imports) {
            doors.in_table.entry(*function).or_insert(0);
        }
        for door in doors
            .exported
            .values_mut()
            .chain(doors.in_table.values_mut())
        {
            *door = next;
            next += 1;
        }
        doors
    }

    fn len(&self) -> u32 {
        (self.exported.len() + self.in_table.len()) as u32
    }
}

impl<'m> Writer<'m> {
    fn new(module: &'m Module<'m>, profile: &'m Profile, schedule: &'m Schedule) -> Self {
        let imports = module.imports.len() as u32;
        let added = imports + module.functions.len() as u32;
        let doors = Doors::new(module, added);
        let places = Places {
            imports,
            types: module.types.len() as u32,
            fuel_global: module.globals.len() as u32,
            status_global: module.globals.len() as u32 + 1,
            grow: added + doors.len(),
            bulk_shift: schedule.bulk_shift,
            page: schedule.page,
        };
        Self {
            module,
            profile,
            schedule,
            types: Types::new(&module.types),
            places,
            functions: FunctionSection::new(),
            code: CodeSection::new(),
            doors,
        }
    }

    fn add(&mut self, ty: u32, code: &Function) -> Result<(), Rejected> {
        self.functions.function(ty);
        self.code.function(code);
        // Checked as it grows: tiny instructions with large charges could fill the memory.
        let max = limits::METERED_BYTES_MAX as u64;
        cap(
            "bytes after metering",
            self.code.byte_len() as u64,
            max,
            None,
        )
    }

    fn write_added(&mut self, bodies: &[Written]) -> Result<(), Rejected> {
        let unknown = || Rejected::Internal {
            message: String::from("an unknown function"),
        };
        let module = self.module;
        let doors = std::mem::take(&mut self.doors);
        for function in doors.exported.keys() {
            let ty = module.function_type(*function).ok_or_else(unknown)?;
            let signature = module.signature(*function).ok_or_else(unknown)?;
            let params = signature.params().len() as u32;
            let defined = function.checked_sub(self.places.imports);
            let body = defined.and_then(|defined| bodies.get(defined as usize));
            let body = body.ok_or_else(unknown)?;
            let limit = self.profile.stack_limit;
            let door = if body.need.below > limit {
                wrappers::too_deep(&self.places)
            } else {
                let granted = body.takes_depth.then_some(limit);
                wrappers::export(*function, params, granted, &self.places)
            };
            self.add(ty, &door)?;
        }
        for function in doors.in_table.keys() {
            let ty = module.function_type(*function).ok_or_else(unknown)?;
            let params = module
                .signature(*function)
                .ok_or_else(unknown)?
                .params()
                .len() as u32;
            let code = wrappers::import(*function, params, &self.places);
            self.add(self.types.threaded(ty), &code)?;
        }
        self.doors = doors;

        if module.grows_memory {
            let params = vec![ValType::I32, ValType::I64];
            let ty = self.types.add(params, vec![ValType::I32, ValType::I64]);
            let code = wrappers::grow(pages_max(module, self.profile), &self.places);
            self.add(ty, &code)?;
        }
        Ok(())
    }

    fn finish(&self, original: &[u8]) -> Vec<u8> {
        let mut out = wasm_encoder::Module::new();
        out.section(&self.types.section());
        put(&mut out, &self.imports(), self.module.imports.is_empty());
        put(&mut out, &self.functions, self.functions.is_empty());
        if let Some(table) = &self.module.table {
            let mut section = TableSection::new();
            section.table(TableType {
                element_type: wasm_encoder::RefType::FUNCREF,
                table64: false,
                minimum: table.initial,
                maximum: table.maximum,
                shared: false,
            });
            out.section(&section);
        }
        out.section(&self.memory());
        out.section(&self.globals());
        out.section(&self.exports());
        put(&mut out, &self.elements(), self.module.elements.is_empty());
        if self.module.has_data_count {
            out.section(&DataCountSection {
                count: self.module.data.len() as u32,
            });
        }
        put(&mut out, &self.code, self.code.is_empty());
        put(&mut out, &self.data(), self.module.data.is_empty());
        if let Some(manifest) = self.module.manifest {
            out.section(&CustomSection {
                name: SECTION_MANIFEST.into(),
                data: manifest.into(),
            });
        }
        let about = self.about(original);
        out.section(&CustomSection {
            name: SECTION_METER.into(),
            data: about.into(),
        });
        out.finish()
    }

    /// The section `haar.meter`: what this module was metered by, from what and for what.
    fn about(&self, original: &[u8]) -> Vec<u8> {
        let mut about = Vec::new();
        about.extend(METER_VERSION.to_le_bytes());
        about.extend(COST_VERSION.to_le_bytes());
        about.extend(blake3::hash(original).as_bytes());
        about.extend(init_cost(self.module, self.schedule).to_le_bytes());
        about.extend(self.profile.stack_limit.to_le_bytes());
        about.extend(self.profile.pages_max.to_le_bytes());
        about.extend(u32::from(self.profile.simd).to_le_bytes());
        about
    }

    fn imports(&self) -> ImportSection {
        let mut section = ImportSection::new();
        for import in &self.module.imports {
            section.import(import.module, import.name, EntityType::Function(import.ty));
        }
        section
    }

    fn memory(&self) -> MemorySection {
        let mut section = MemorySection::new();
        section.memory(MemoryType {
            minimum: pages_min(self.module).into(),
            maximum: Some(pages_max(self.module, self.profile).into()),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        section
    }

    fn globals(&self) -> GlobalSection {
        let mut section = GlobalSection::new();
        for (ty, value) in &self.module.globals {
            let val_type = encode(ty.content_type);
            section.global(
                GlobalType {
                    val_type,
                    mutable: ty.mutable,
                    shared: false,
                },
                &constant(*value),
            );
        }
        for (val_type, value) in [
            (ValType::I64, ConstExpr::i64_const(0)),
            (ValType::I32, ConstExpr::i32_const(0)),
        ] {
            section.global(
                GlobalType {
                    val_type,
                    mutable: true,
                    shared: false,
                },
                &value,
            );
        }
        section
    }

    fn exports(&self) -> ExportSection {
        let mut section = ExportSection::new();
        for export in &self.module.exports {
            let (kind, index) = match export.kind {
                ExternalKind::Memory => (ExportKind::Memory, export.index),
                ExternalKind::Global => (ExportKind::Global, export.index),
                _ => (ExportKind::Func, self.door(export.index)),
            };
            section.export(export.name, kind, index);
        }
        section.export(EXPORT_FUEL, ExportKind::Global, self.places.fuel_global);
        section.export(EXPORT_STATUS, ExportKind::Global, self.places.status_global);
        if let Some(start) = self.module.start {
            section.export(EXPORT_START, ExportKind::Func, self.door(start));
        }
        section
    }

    fn door(&self, function: u32) -> u32 {
        self.doors
            .exported
            .get(&function)
            .copied()
            .unwrap_or(function)
    }

    fn elements(&self) -> ElementSection {
        let mut section = ElementSection::new();
        for segment in &self.module.elements {
            let at = ConstExpr::i32_const(segment.at.cast_signed());
            let entry = |function: u32| {
                self.doors
                    .in_table
                    .get(&function)
                    .copied()
                    .unwrap_or(function)
            };
            let all: Option<Vec<u32>> = segment
                .functions
                .iter()
                .map(|function| function.map(entry))
                .collect();
            let elements = match all {
                Some(functions) => Elements::Functions(functions.into()),
                None => {
                    let values = segment.functions.iter().map(|function| match function {
                        Some(function) => ConstExpr::ref_func(entry(*function)),
                        None => ConstExpr::ref_null(wasm_encoder::HeapType::FUNC),
                    });
                    let values = values.collect::<Vec<_>>();
                    Elements::Expressions(wasm_encoder::RefType::FUNCREF, values.into())
                }
            };
            section.active(None, &at, elements);
        }
        section
    }

    fn data(&self) -> DataSection {
        let mut section = DataSection::new();
        for segment in &self.module.data {
            let bytes = segment.bytes.iter().copied();
            match segment.at {
                Some(at) => section.active(0, &ConstExpr::i32_const(at.cast_signed()), bytes),
                None => section.passive(bytes),
            };
        }
        section
    }
}

fn put(out: &mut wasm_encoder::Module, section: &impl Section, is_empty: bool) {
    if !is_empty {
        out.section(section);
    }
}

fn constant(value: Constant) -> ConstExpr {
    match value {
        Constant::I32(value) => ConstExpr::i32_const(value),
        Constant::I64(value) => ConstExpr::i64_const(value),
        Constant::F32(bits) => ConstExpr::f32_const(wasm_encoder::Ieee32::new(bits)),
        Constant::F64(bits) => ConstExpr::f64_const(wasm_encoder::Ieee64::new(bits)),
        Constant::V128(value) => ConstExpr::v128_const(value),
    }
}
