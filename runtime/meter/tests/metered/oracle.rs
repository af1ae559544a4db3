//! An interpreter that counts fuel one instruction at a time: the second opinion.
//!
//! It shares no code with the pass. Prices come from the names of instructions, NaNs are canonical
//! after every arithmetic instruction, and control flow is followed without blocks of charges.

use std::collections::BTreeMap;

use wasmparser::{
    BlockType, DataKind, ElementItems, ElementKind, ExternalKind, FuncType, Operator, Parser,
    Payload, TypeRef,
};

/// What an interpreted call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub results: Vec<u64>,
    pub fuel: u64,
    pub memory: Vec<u8>,
}

/// Calls `entry`, or nothing if the program traps.
pub fn run(wat: &str, entry: &str, args: &[u64]) -> Option<Counted> {
    let bytes = wat::parse_str(wat).unwrap();
    let mut machine = Machine::load(&bytes);
    let function = machine.exports[entry];
    let results = machine.call(function, args)?;
    Some(Counted {
        results,
        fuel: machine.fuel,
        memory: machine.memory,
    })
}

#[derive(Default)]
struct Machine<'a> {
    types: Vec<FuncType>,
    imports: u32,
    functions: Vec<u32>,
    bodies: Vec<Body<'a>>,
    table: Vec<Option<u32>>,
    memory: Vec<u8>,
    pages_max: u64,
    data: Vec<&'a [u8]>,
    globals: Vec<u64>,
    exports: BTreeMap<&'a str, u32>,
    fuel: u64,
}

struct Body<'a> {
    locals: usize,
    ops: Vec<Operator<'a>>,
    /// For `block`, `loop` and `if`: its `else`, if any, and its `end`.
    ends: BTreeMap<usize, (Option<usize>, usize)>,
}

struct Label {
    /// Where a branch goes on.
    target: usize,
    arity: usize,
    height: usize,
    end: usize,
}

impl<'a> Machine<'a> {
    fn load(bytes: &'a [u8]) -> Self {
        let mut machine = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            machine.load_section(payload.unwrap());
        }
        machine
    }

    fn load_section(&mut self, payload: Payload<'a>) {
        match payload {
            Payload::TypeSection(section) => {
                self.types = section
                    .into_iter_err_on_gc_types()
                    .map(Result::unwrap)
                    .collect();
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let TypeRef::Func(ty) = import.unwrap().ty else {
                        panic!()
                    };
                    self.functions.push(ty);
                    self.imports += 1;
                }
            }
            Payload::FunctionSection(section) => {
                self.functions
                    .extend(section.into_iter().map(Result::unwrap));
            }
            Payload::TableSection(section) => {
                let size = section.into_iter().next().unwrap().unwrap().ty.initial;
                self.table = vec![None; size as usize];
            }
            Payload::MemorySection(section) => {
                let memory = section.into_iter().next().unwrap().unwrap();
                self.memory = vec![0; memory.initial as usize * 65_536];
                let limit = u64::from(crate::engine::PROFILE.pages_max);
                self.pages_max = memory.maximum.unwrap_or(limit).min(limit);
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    self.globals.push(constant(&global.unwrap().init_expr));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.unwrap();
                    if export.kind == ExternalKind::Func {
                        self.exports.insert(export.name, export.index);
                    }
                }
            }
            Payload::ElementSection(section) => self.fill_table(section),
            Payload::DataSection(section) => self.fill_memory(section),
            Payload::CodeSectionEntry(body) => self.bodies.push(Body::new(&body)),
            _ => {}
        }
    }

    fn fill_table(&mut self, section: wasmparser::ElementSectionReader<'a>) {
        for element in section {
            let element = element.unwrap();
            let ElementKind::Active { offset_expr, .. } = element.kind else {
                panic!()
            };
            let ElementItems::Functions(items) = element.items else {
                panic!()
            };
            for (index, item) in items.into_iter().enumerate() {
                self.table[constant(&offset_expr) as usize + index] = Some(item.unwrap());
            }
        }
    }

    fn fill_memory(&mut self, section: wasmparser::DataSectionReader<'a>) {
        for data in section {
            let data = data.unwrap();
            if let DataKind::Active { offset_expr, .. } = data.kind {
                let at = constant(&offset_expr) as usize;
                self.memory[at..at + data.data.len()].copy_from_slice(data.data);
            }
            self.data.push(data.data);
        }
    }

    fn signature(&self, function: u32) -> &FuncType {
        &self.types[self.functions[function as usize] as usize]
    }

    fn arity(&self, ty: BlockType) -> (usize, usize) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(ty) => {
                let ty = &self.types[ty as usize];
                (ty.params().len(), ty.results().len())
            }
        }
    }

    fn call(&mut self, function: u32, args: &[u64]) -> Option<Vec<u64>> {
        let results = self.signature(function).results().len();
        if function < self.imports {
            self.fuel += crate::engine::HOST_CALL as u64;
            return Some(vec![0; results]);
        }
        let bodies = std::mem::take(&mut self.bodies);
        let body = &bodies[(function - self.imports) as usize];
        let mut frame = Frame {
            locals: args.to_vec(),
            stack: Vec::new(),
            labels: Vec::new(),
            next: 0,
            moves: 0,
            goes_round: false,
        };
        // Zeroing: eight slots cost one. The oracle's programs have no vectors.
        self.fuel += body.locals as u64 / 8;
        frame.locals.resize(args.len() + body.locals, 0);
        let last = body.ops.len() - 1;
        frame.labels.push(Label {
            target: last + 1,
            arity: results,
            height: 0,
            end: last,
        });
        self.bodies = bodies;
        self.run(function, &mut frame)?;
        Some(frame.stack.split_off(frame.stack.len() - results))
    }

    fn run(&mut self, function: u32, frame: &mut Frame) -> Option<()> {
        let index = (function - self.imports) as usize;
        while let Some(op) = self.bodies[index].ops.get(frame.next).cloned() {
            // Going round a loop does not enter it again.
            if !std::mem::take(&mut frame.goes_round) {
                self.fuel += price(&op);
            }
            self.fuel += frame.moves(&op);
            let here = frame.next;
            frame.next += 1;
            match op {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    self.open(&op, here, index, frame);
                }
                Operator::Else => frame.next = frame.labels.last().unwrap().end,
                Operator::End => drop(frame.labels.pop()),
                Operator::Br { relative_depth } => frame.branch(relative_depth),
                Operator::BrIf { relative_depth } => {
                    if frame.pop() as u32 != 0 {
                        frame.branch(relative_depth);
                    }
                }
                Operator::BrTable { ref targets } => {
                    let choice = frame.pop() as u32;
                    let target = targets.targets().nth(choice as usize);
                    frame.branch(target.map_or(targets.default(), Result::unwrap));
                }
                Operator::Return => frame.branch(frame.labels.len() as u32 - 1),
                Operator::Unreachable => return None,
                Operator::Call { function_index } => self.enter(function_index, frame)?,
                Operator::CallIndirect { type_index, .. } => {
                    let entry = frame.pop() as u32 as usize;
                    let target = (*self.table.get(entry)?)?;
                    if self.signature(target) != &self.types[type_index as usize] {
                        return None;
                    }
                    self.enter(target, frame)?;
                }
                other => self.simple(&other, frame)?,
            }
        }
        Some(())
    }

    fn open(&self, op: &Operator<'_>, here: usize, body: usize, frame: &mut Frame) {
        let (Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty }) =
            op
        else {
            unreachable!()
        };
        let (params, results) = self.arity(*blockty);
        let (otherwise, end) = self.bodies[body].ends[&here];
        let is_if = matches!(op, Operator::If { .. });
        if is_if && frame.pop() as u32 == 0 {
            frame.next = otherwise.map_or(end, |at| at + 1);
        }
        let height = frame.stack.len() - params;
        frame.labels.push(if matches!(op, Operator::Loop { .. }) {
            Label {
                target: here,
                arity: params,
                height,
                end,
            }
        } else {
            Label {
                target: end + 1,
                arity: results,
                height,
                end,
            }
        });
    }

    fn enter(&mut self, function: u32, frame: &mut Frame) -> Option<()> {
        let params = self.signature(function).params().len();
        let args = frame.stack.split_off(frame.stack.len() - params);
        let results = self.call(function, &args)?;
        frame.stack.extend(results);
        Some(())
    }

    fn simple(&mut self, op: &Operator<'_>, frame: &mut Frame) -> Option<()> {
        match op {
            Operator::Nop => {}
            Operator::Drop => drop(frame.pop()),
            Operator::Select | Operator::TypedSelect { .. } => {
                let (condition, b, a) = (frame.pop() as u32, frame.pop(), frame.pop());
                frame.stack.push(if condition != 0 { a } else { b });
            }
            Operator::LocalGet { local_index } => {
                frame.stack.push(frame.locals[*local_index as usize]);
            }
            Operator::LocalSet { local_index } => {
                frame.locals[*local_index as usize] = frame.pop();
            }
            Operator::LocalTee { local_index } => {
                frame.locals[*local_index as usize] = *frame.stack.last().unwrap();
            }
            Operator::GlobalGet { global_index } => {
                frame.stack.push(self.globals[*global_index as usize]);
            }
            Operator::GlobalSet { global_index } => {
                self.globals[*global_index as usize] = frame.pop();
            }
            Operator::I32Const { value } => frame.stack.push(u64::from(value.cast_unsigned())),
            Operator::I64Const { value } => frame.stack.push(value.cast_unsigned()),
            Operator::F32Const { value } => frame.stack.push(u64::from(value.bits())),
            Operator::F64Const { value } => frame.stack.push(value.bits()),
            _ => return self.memory(op, frame),
        }
        Some(())
    }

    fn memory(&mut self, op: &Operator<'_>, frame: &mut Frame) -> Option<()> {
        match op {
            Operator::I32Load { memarg } | Operator::F32Load { memarg } => {
                let at = frame.pop() as u32 as usize + memarg.offset as usize;
                let bytes = self.memory.get(at..at + 4)?;
                frame
                    .stack
                    .push(u64::from(u32::from_le_bytes(bytes.try_into().unwrap())));
            }
            Operator::I64Load { memarg } | Operator::F64Load { memarg } => {
                let at = frame.pop() as u32 as usize + memarg.offset as usize;
                let bytes = self.memory.get(at..at + 8)?;
                frame
                    .stack
                    .push(u64::from_le_bytes(bytes.try_into().unwrap()));
            }
            Operator::I32Store { memarg } | Operator::F32Store { memarg } => {
                let (value, at) = (frame.pop() as u32, frame.pop() as u32 as usize);
                let at = at + memarg.offset as usize;
                self.memory
                    .get_mut(at..at + 4)?
                    .copy_from_slice(&value.to_le_bytes());
            }
            Operator::I64Store { memarg } | Operator::F64Store { memarg } => {
                let (value, at) = (frame.pop(), frame.pop() as u32 as usize);
                let at = at + memarg.offset as usize;
                self.memory
                    .get_mut(at..at + 8)?
                    .copy_from_slice(&value.to_le_bytes());
            }
            Operator::MemorySize { .. } => frame.stack.push(self.memory.len() as u64 >> 16),
            Operator::MemoryGrow { .. } => {
                let (delta, pages) = (frame.pop() as u32, self.memory.len() as u64 >> 16);
                if u64::from(delta) > self.pages_max - pages {
                    frame.stack.push(u64::from(u32::MAX));
                } else {
                    self.fuel += 65_536 * u64::from(delta);
                    self.memory
                        .resize((pages as usize + delta as usize) << 16, 0);
                    frame.stack.push(pages);
                }
            }
            Operator::MemoryFill { .. } => {
                let (length, value, at) = frame.three();
                self.fuel += (length / 8) as u64;
                self.memory.get_mut(at..at + length)?.fill(value as u8);
            }
            Operator::MemoryCopy { .. } => {
                let (length, from, to) = frame.three();
                self.fuel += (length / 8) as u64;
                self.memory.get(from..from + length)?;
                self.memory.get(to..to + length)?;
                self.memory.copy_within(from..from + length, to);
            }
            Operator::MemoryInit { data_index, .. } => {
                let (length, from, to) = frame.three();
                self.fuel += (length / 8) as u64;
                let bytes = self.data[*data_index as usize].get(from..from + length)?;
                self.memory.get_mut(to..to + length)?.copy_from_slice(bytes);
            }
            Operator::DataDrop { data_index } => self.data[*data_index as usize] = &[],
            _ => {
                let value = frame.number(op)?;
                frame.stack.push(value);
            }
        }
        Some(())
    }
}

impl<'a> Body<'a> {
    fn new(body: &wasmparser::FunctionBody<'a>) -> Self {
        let locals = body.get_locals_reader().unwrap();
        let locals = locals
            .into_iter()
            .map(|local| local.unwrap().0 as usize)
            .sum();
        let reader = body.get_operators_reader().unwrap();
        let ops: Vec<_> = reader.into_iter().map(Result::unwrap).collect();
        let (mut open, mut ends) = (Vec::new(), BTreeMap::new());
        for (index, op) in ops.iter().enumerate() {
            match op {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    open.push((index, None));
                }
                Operator::Else => open.last_mut().unwrap().1 = Some(index),
                Operator::End => {
                    if let Some((start, otherwise)) = open.pop() {
                        ends.insert(start, (otherwise, index));
                    }
                }
                _ => {}
            }
        }
        Self { locals, ops, ends }
    }
}

struct Frame {
    locals: Vec<u64>,
    stack: Vec<u64>,
    labels: Vec<Label>,
    next: usize,
    /// Moves since the last instruction that ends a straight piece.
    moves: u64,
    /// Whether a branch to a loop was just taken.
    goes_round: bool,
}

impl Frame {
    fn pop(&mut self) -> u64 {
        self.stack.pop().unwrap()
    }

    /// What the moves of a straight piece cost, at its end.
    fn moves(&mut self, op: &Operator<'_>) -> u64 {
        let full = format!("{op:?}");
        match full.split([' ', '(', '{']).next().unwrap() {
            "Nop" | "Block" | "Drop" | "LocalGet" | "LocalSet" | "LocalTee" => self.moves += 1,
            name if name.ends_with("Const") => self.moves += 1,
            "Loop" | "If" | "Else" | "End" | "Br" | "BrIf" | "BrTable" | "Return" => {
                return std::mem::take(&mut self.moves) / 8;
            }
            _ => {}
        }
        0
    }

    fn three(&mut self) -> (usize, usize, usize) {
        let mut next = || self.stack.pop().unwrap() as u32 as usize;
        (next(), next(), next())
    }

    fn branch(&mut self, depth: u32) {
        let index = self.labels.len() - 1 - depth as usize;
        let label = &self.labels[index];
        let carried = self.stack.split_off(self.stack.len() - label.arity);
        self.stack.truncate(label.height);
        self.stack.extend(carried);
        self.next = label.target;
        // A branch to a loop arrives at its first instruction, which opens the label again.
        self.goes_round = label.target < label.end;
        self.labels.truncate(index);
    }

    fn number(&mut self, op: &Operator<'_>) -> Option<u64> {
        let name = format!("{op:?}");
        match &name[..3] {
            "I32" if !name.contains("F32") && !name.contains("F64") => self.i32(op),
            "I64" if !name.contains("F32") && !name.contains("F64") => self.i64(op),
            _ => self.f64(op),
        }
    }

    fn i32(&mut self, op: &Operator<'_>) -> Option<u64> {
        use Operator::*;
        let b = self.pop() as u32;
        let unary = match op {
            I32Eqz => Some(u32::from(b == 0)),
            I32Clz => Some(b.leading_zeros()),
            I32Popcnt => Some(b.count_ones()),
            I32WrapI64 => Some(b),
            _ => None,
        };
        if let Some(value) = unary {
            return Some(value.into());
        }
        let a = self.pop() as u32;
        Some(u64::from(match op {
            I32Add => a.wrapping_add(b),
            I32Sub => a.wrapping_sub(b),
            I32Mul => a.wrapping_mul(b),
            I32And => a & b,
            I32Or => a | b,
            I32Xor => a ^ b,
            I32Shl => a.wrapping_shl(b),
            I32ShrU => a.wrapping_shr(b),
            I32Rotl => a.rotate_left(b & 31),
            I32DivU => a.checked_div(b)?,
            I32RemU => a.checked_rem(b)?,
            I32DivS => a
                .cast_signed()
                .checked_div(b.cast_signed())?
                .cast_unsigned(),
            I32Eq => u32::from(a == b),
            I32Ne => u32::from(a != b),
            I32LtU => u32::from(a < b),
            I32GtU => u32::from(a > b),
            I32LeU => u32::from(a <= b),
            I32GeU => u32::from(a >= b),
            I32LtS => u32::from(a.cast_signed() < b.cast_signed()),
            I32GtS => u32::from(a.cast_signed() > b.cast_signed()),
            I32LeS => u32::from(a.cast_signed() <= b.cast_signed()),
            I32GeS => u32::from(a.cast_signed() >= b.cast_signed()),
            other => panic!("the oracle does not know {other:?}"),
        }))
    }

    fn i64(&mut self, op: &Operator<'_>) -> Option<u64> {
        use Operator::*;
        let b = self.pop();
        match op {
            I64ExtendI32U => return Some(u64::from(b as u32)),
            I64ExtendI32S => return Some(i64::from((b as u32).cast_signed()).cast_unsigned()),
            I64Eqz => return Some(u64::from(b == 0)),
            _ => {}
        }
        let a = self.pop();
        Some(match op {
            I64Add => a.wrapping_add(b),
            I64Sub => a.wrapping_sub(b),
            I64Mul => a.wrapping_mul(b),
            I64Xor => a ^ b,
            I64And => a & b,
            I64ShrU => a.wrapping_shr(b as u32),
            I64DivU => a.checked_div(b)?,
            I64Ne => u64::from(a != b),
            other => panic!("the oracle does not know {other:?}"),
        })
    }

    fn f64(&mut self, op: &Operator<'_>) -> Option<u64> {
        use Operator::*;
        const SIGN: u64 = 1 << 63;
        let b = self.pop();
        let y = f64::from_bits(b);
        match op {
            F64Neg => return Some(b ^ SIGN),
            F64Abs => return Some(b & !SIGN),
            I64ReinterpretF64 | F64ReinterpretI64 => return Some(b),
            F64ConvertI32S => return Some(f64::from((b as u32).cast_signed()).to_bits()),
            F64ConvertI32U => return Some(f64::from(b as u32).to_bits()),
            I32TruncSatF64S => return Some(u64::from((y as i32).cast_unsigned())),
            F64Sqrt => return Some(canonical(y.sqrt())),
            F64Ceil => return Some(canonical(y.ceil())),
            F64Floor => return Some(canonical(y.floor())),
            F64Trunc => return Some(canonical(y.trunc())),
            F64Nearest => return Some(canonical(y.round_ties_even())),
            F32DemoteF64 => {
                let demoted = y as f32;
                let bits = if demoted.is_nan() {
                    0x7fc0_0000
                } else {
                    demoted.to_bits()
                };
                return Some(bits.into());
            }
            F64PromoteF32 => return Some(canonical(f64::from(f32::from_bits(b as u32)))),
            _ => {}
        }
        let a = self.pop();
        let x = f64::from_bits(a);
        Some(match op {
            F64Add => canonical(x + y),
            F64Sub => canonical(x - y),
            F64Mul => canonical(x * y),
            F64Div => canonical(x / y),
            F64Min => extreme(x, y, x < y || (x == y && x.is_sign_negative())),
            F64Max => extreme(x, y, x > y || (x == y && x.is_sign_positive())),
            F64Copysign => (a & !SIGN) | (b & SIGN),
            F64Lt => u64::from(x < y),
            F64Eq => u64::from(x == y),
            F64Ne => u64::from(x != y),
            other => panic!("the oracle does not know {other:?}"),
        })
    }
}

fn canonical(value: f64) -> u64 {
    if value.is_nan() {
        0x7ff8_0000_0000_0000
    } else {
        value.to_bits()
    }
}

fn extreme(x: f64, y: f64, takes_x: bool) -> u64 {
    let value = if takes_x { x } else { y };
    canonical(if x.is_nan() || y.is_nan() {
        f64::NAN
    } else {
        value
    })
}

fn constant(expression: &wasmparser::ConstExpr<'_>) -> u64 {
    match expression.get_operators_reader().read().unwrap() {
        Operator::I32Const { value } => u64::from(value.cast_unsigned()),
        Operator::I64Const { value } => value.cast_unsigned(),
        Operator::F64Const { value } => value.bits(),
        other => panic!("the oracle does not know {other:?}"),
    }
}

/// The schedule, by name: SPEC.md section 3 once more, from the text and not from the code.
pub fn price(op: &Operator<'_>) -> u64 {
    let full = format!("{op:?}");
    let name = full.split([' ', '(', '{']).next().unwrap();
    match name {
        "Loop" => 1,
        "Nop" | "Block" | "End" | "Else" | "Drop" | "Return" | "Unreachable" => 0,
        "LocalGet" | "LocalSet" | "LocalTee" => 0,
        "If" | "BrTable" => 3,
        "Br" | "BrIf" | "Select" | "TypedSelect" => 1,
        "GlobalGet" | "GlobalSet" | "MemorySize" => 1,
        "Call" => 5,
        "CallIndirect" => 10,
        "MemoryGrow" => 300,
        "MemoryFill" | "MemoryCopy" | "MemoryInit" => 32,
        "DataDrop" => 100,
        "F32Div" => 4,
        "F64Div" | "F32Sqrt" => 6,
        "F64Sqrt" => 10,
        _ if name.ends_with("Const") => 0,
        _ if name.contains("Load") || name.contains("Store") => 1,
        _ if name.starts_with("I32Trunc") || name.starts_with("I64Trunc") => 8,
        _ if name.starts_with("I32Div") || name.starts_with("I32Rem") => 10,
        _ if name.starts_with("I64Div") || name.starts_with("I64Rem") => 14,
        _ if name.contains("Reinterpret") => 1,
        _ if name.starts_with('I') => 1,
        _ if name.contains("Convert") => {
            if name.ends_with('S') {
                2
            } else {
                4
            }
        }
        _ if name.ends_with("Min") || name.ends_with("Max") => 6,
        _ => match &name[3..] {
            "Abs" | "Neg" | "Copysign" | "DemoteF64" | "PromoteF32" => 1,
            _ => 2,
        },
    }
}
