//! Reads the original, as far as it can be read. Where the bytes make no sense it stops, and what
//! it has read so far stays.

use std::collections::BTreeMap;

use wasmparser::{
    BinaryReaderError, Encoding, ExternalKind, FunctionBody, KnownCustom, Name, Operator, Parser,
    Payload, TypeRef, ValType,
};

use super::{ExportReport, FunctionReport, ImportReport, MemoryReport};
use crate::fuel::SECTION_MANIFEST;
use crate::schedule::{Class, Schedule, class};
use crate::{GuestKind, Profile, limits};

/// Bytes of a name that are kept. Mangled names of generics are long; a stranger's can be longer.
const NAME_BYTES_MAX: usize = 1_024;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) imports: Vec<ImportReport>,
    pub(super) exports: Vec<ExportReport>,
    pub(super) memory: Option<MemoryReport>,
    pub(super) data_bytes: u64,
    pub(super) manifest: Option<Vec<u8>>,
    pub(super) functions: Vec<FunctionReport>,
    pub(super) unread_from: Option<u64>,
    /// Parameters of each defined function, in the order of `functions`.
    pub(super) params: Vec<u32>,
    /// Parameters of each type.
    types: Vec<u32>,
    names: BTreeMap<u32, String>,
    /// Functions alone; other imports are refused and only shown.
    imported_functions: u32,
    /// Where each imported function stands in `imports`.
    import_places: Vec<usize>,
}

/// Reads `module` to its end, or to the first bytes that make no sense.
pub(super) fn read(module: &[u8], profile: &Profile) -> Reading {
    let mut reading = Reading::default();
    for payload in Parser::new(0).parse_all(module) {
        let read = payload.and_then(|payload| reading.read_section(payload, profile));
        match read {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                reading.unread_from = Some(error.offset());
                break;
            }
        }
    }
    reading.name_functions();
    reading
}

impl Reading {
    /// How the exports look. Types are not compared: a refusal has said what is wrong with them.
    pub(super) fn kind(&self) -> Option<GuestKind> {
        let has = |name: &str| self.exports.iter().any(|export| export.name == name);
        if has("haar_abi_v1") {
            return Some(GuestKind::Reactor);
        }
        has("_start").then_some(GuestKind::Command)
    }

    /// Whether to go on.
    fn read_section(
        &mut self,
        payload: Payload<'_>,
        profile: &Profile,
    ) -> Result<bool, BinaryReaderError> {
        match payload {
            Payload::Version { encoding, .. } => return Ok(encoding == Encoding::Module),
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    let params = u32::try_from(ty?.params().len());
                    self.types.push(params.unwrap_or(u32::MAX));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    let params = self.types.get(ty? as usize);
                    self.params.push(params.copied().unwrap_or(0));
                }
            }
            Payload::ImportSection(section) => return self.read_imports(section),
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    self.memory.get_or_insert(MemoryReport {
                        pages_min: memory.initial,
                        pages_max: memory.maximum,
                    });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if self.exports.len() as u64 >= limits::FUNCTIONS_MAX {
                        return Ok(false);
                    }
                    self.exports.push(ExportReport {
                        name: shorten(export.name),
                        kind: kind_name(export.kind),
                        index: export.index,
                    });
                }
            }
            Payload::CodeSectionEntry(body) => {
                if self.functions.len() as u64 >= limits::FUNCTIONS_MAX {
                    return Ok(false);
                }
                self.read_body(&body, profile);
            }
            Payload::DataSection(section) => {
                for segment in section {
                    self.data_bytes += segment?.data.len() as u64;
                }
            }
            Payload::CustomSection(section) => self.read_custom(&section),
            _ => {}
        }
        Ok(true)
    }

    fn read_imports(
        &mut self,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<bool, BinaryReaderError> {
        for import in section.into_imports() {
            let import = import?;
            if self.imports.len() as u64 >= limits::FUNCTIONS_MAX {
                return Ok(false);
            }
            if let TypeRef::Func(_) = import.ty {
                self.imported_functions += 1;
                self.import_places.push(self.imports.len());
            }
            self.imports.push(ImportReport {
                module: shorten(import.module),
                name: shorten(import.name),
                call_sites: 0,
            });
        }
        Ok(true)
    }

    fn read_body(&mut self, body: &FunctionBody<'_>, profile: &Profile) {
        let range = body.range();
        // The count is capped far below 2^32.
        let defined = u32::try_from(self.functions.len()).unwrap_or(u32::MAX);
        let mut function = FunctionReport {
            index: self.imported_functions.saturating_add(defined),
            offset: range.start,
            body_bytes: range.end - range.start,
            ..FunctionReport::default()
        };
        function.static_cost = self.read_operators(body, profile, &mut function);
        self.functions.push(function);
    }

    /// Counts, and sums up the cost of the text; nothing if it has no cost or cannot be read.
    fn read_operators(
        &mut self,
        body: &FunctionBody<'_>,
        profile: &Profile,
        function: &mut FunctionReport,
    ) -> Option<u64> {
        let mut cost = Some(Cost::of_locals(body)?);
        // For each open block, whether it is a loop.
        let mut blocks = Vec::new();
        let mut loops_open = 0;
        let mut reader = body.get_operators_reader().ok()?;
        while !reader.eof() {
            let op = reader.read().ok()?;
            function.instructions += 1;
            cost = cost.and_then(|cost| Some(cost.and(class(&op, profile.simd)?)));
            match op {
                Operator::Block { .. } | Operator::If { .. } => blocks.push(false),
                Operator::Loop { .. } => {
                    blocks.push(true);
                    loops_open += 1;
                    function.loops += 1;
                    function.loop_nesting = function.loop_nesting.max(loops_open);
                }
                Operator::End => {
                    let was_loop = blocks.pop().unwrap_or(false);
                    loops_open -= u32::from(was_loop);
                }
                Operator::Call { function_index } => self.count_call(function_index, function),
                Operator::CallIndirect { .. } => function.indirect_calls += 1,
                Operator::MemoryGrow { .. } => function.grows_memory = true,
                _ => {}
            }
        }
        cost.map(|cost| cost.fuel)
    }

    fn count_call(&mut self, callee: u32, function: &mut FunctionReport) {
        if callee >= self.imported_functions {
            function.calls += 1;
            return;
        }
        function.host_calls += 1;
        let place = self.import_places.get(callee as usize);
        if let Some(import) = place.and_then(|place| self.imports.get_mut(*place)) {
            import.call_sites += 1;
        }
    }

    fn read_custom(&mut self, section: &wasmparser::CustomSectionReader<'_>) {
        if section.name() == SECTION_MANIFEST {
            let is_fit = section.data().len() as u64 <= limits::MANIFEST_BYTES_MAX;
            self.manifest = is_fit.then(|| section.data().to_vec());
        }
        // Names help and mean nothing: what cannot be read is left out.
        let KnownCustom::Name(names) = section.as_known() else {
            return;
        };
        for name in names.into_iter().map_while(Result::ok) {
            let Name::Function(map) = name else { continue };
            for naming in map.into_iter().map_while(Result::ok) {
                if self.names.len() as u64 >= limits::FUNCTIONS_MAX {
                    return;
                }
                self.names.insert(naming.index, shorten(naming.name));
            }
        }
    }

    /// The name section's names, or else the exports'.
    fn name_functions(&mut self) {
        let mut exported = BTreeMap::new();
        for export in &self.exports {
            if export.kind == "function" {
                exported.entry(export.index).or_insert(&export.name);
            }
        }
        for function in &mut self.functions {
            let named = self.names.get(&function.index);
            let name = named.or_else(|| exported.get(&function.index).copied());
            function.name = name.filter(|name| !name.is_empty()).cloned();
        }
    }
}

/// What a text costs so far, every instruction once.
struct Cost {
    fuel: u64,
    /// Moves since the last instruction that ended a straight piece.
    moves: u64,
}

impl Cost {
    fn of_locals(body: &FunctionBody<'_>) -> Option<Self> {
        let mut slots = 0;
        for local in body.get_locals_reader().ok()? {
            let (count, ty) = local.ok()?;
            let width = if ty == ValType::V128 { 2 } else { 1 };
            slots += u64::from(count) * width;
        }
        let fuel = Schedule::V1.locals(slots);
        Some(Self { fuel, moves: 0 })
    }

    fn and(mut self, class: Class) -> Self {
        self.fuel += Schedule::V1.price(class);
        self.moves += u64::from(class == Class::Move);
        if class.ends_piece() {
            self.fuel += Schedule::V1.moves(std::mem::take(&mut self.moves));
        }
        self
    }
}

fn kind_name(kind: ExternalKind) -> &'static str {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => "function",
        ExternalKind::Table => "table",
        ExternalKind::Memory => "memory",
        ExternalKind::Global => "global",
        ExternalKind::Tag => "tag",
    }
}

/// The beginning of a name.
fn shorten(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}
