//! Counts what a run executes, class by class, with the pass itself: a schedule that prices one class
//! only makes the fuel used the count of that class.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use haar_meter::schedule::{Class, Schedule, class};
use haar_meter::{Profile, meter_with};
use wasmparser::{Parser, Payload};

/// What is counted: the classes, what is charged by length, and the fuel of the present schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Instructions of one class.
    Class(Class),
    /// 64-bit slots of declared locals of entered functions.
    LocalSlots,
    /// Bytes that bulk operations name.
    BulkBytes,
    /// Pages that memory grew by.
    Pages,
}

/// The name under which the fuel of [`Schedule::V1`] stands among the counts.
pub const FUEL_NOW: &str = "fuel";

impl Column {
    /// Every column, the classes first, in the order of the schedule.
    pub fn all() -> Vec<Self> {
        let classes = Class::ALL.into_iter().map(Self::Class);
        classes
            .chain([Self::LocalSlots, Self::BulkBytes, Self::Pages])
            .collect()
    }

    /// The column as the tables name it.
    pub fn name(self) -> String {
        match self {
            Self::Class(class) => format!("{class:?}"),
            other => format!("{other:?}"),
        }
    }

    /// What one of it costs in a schedule, rounding left aside.
    pub fn price(self, schedule: &Schedule) -> f64 {
        let share = |divisor: u32| 1.0 / f64::from(divisor.max(1));
        match self {
            Self::Class(Class::Move) => share(schedule.moves_per_fuel),
            Self::Class(class) => f64::from(schedule.prices[class as usize]),
            Self::LocalSlots => share(schedule.locals_per_fuel),
            Self::BulkBytes => (-f64::from(schedule.bulk_shift)).exp2(),
            Self::Pages => schedule.page.into(),
        }
    }

    /// Whether the pass may give it away: it has no machine instruction of its own.
    pub fn is_free(self) -> bool {
        matches!(self, Self::Class(Class::Structure))
    }

    /// A schedule that prices this column at 1 and nothing else.
    fn schedule(self) -> Schedule {
        let mut schedule = Schedule {
            prices: [0; Class::ALL.len()],
            moves_per_fuel: 0,
            locals_per_fuel: 0,
            // No shift makes bytes free, so one that leaves nothing of any length does.
            bulk_shift: 63,
            page: 0,
            init: 0,
            init_bytes_per_fuel: 0,
        };
        match self {
            Self::Class(class) => schedule.prices[class as usize] = 1,
            Self::LocalSlots => schedule.locals_per_fuel = 1,
            Self::BulkBytes => schedule.bulk_shift = 0,
            Self::Pages => schedule.page = 1,
        }
        schedule
    }
}

/// A counting form of a module: what its fuel counts, and its bytes.
pub type Form = (String, Vec<u8>);

/// The counting forms of a module, and the form that is billed.
pub fn forms(name: &str, module: &[u8]) -> Result<Vec<Form>> {
    let form = |of: String, schedule: &Schedule| -> Result<Form> {
        let metered = meter_with(module, &Profile::DESKTOP, schedule);
        let metered = metered.map_err(|error| anyhow!("{name} is refused: {error}"))?;
        Ok((of, metered.bytes))
    };
    let present = present(module)?;
    let mut forms = vec![form(FUEL_NOW.to_owned(), &Schedule::V1)?];
    for column in Column::all() {
        let is_there = match column {
            Column::Class(class) => !column.is_free() && present.contains(&class),
            Column::LocalSlots => true,
            Column::BulkBytes => present.contains(&Class::Bulk),
            Column::Pages => present.contains(&Class::MemoryGrow),
        };
        if is_there {
            forms.push(form(column.name(), &column.schedule())?);
        }
    }
    Ok(forms)
}

/// The classes that stand anywhere in the module.
fn present(module: &[u8]) -> Result<BTreeSet<Class>> {
    let mut classes = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CodeSectionEntry(body) = payload? {
            let mut reader = body.get_operators_reader()?;
            while !reader.eof() {
                classes.extend(class(&reader.read()?, true));
            }
        }
    }
    Ok(classes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::bench::host::Host;

    /// Runs the counting forms of a module and compares the counts that are named.
    #[track_caller]
    fn check(body: &str, expected: &[(&str, u64)]) {
        let text = format!(
            "(module (memory (export \"memory\") 1) (func (export \"_start\") (local $n i32) {body}))"
        );
        let host = Host::new(false).unwrap();
        let forms = forms("test", &wat::parse_str(text).unwrap()).unwrap();
        for (column, count) in expected {
            let (_, module) = forms.iter().find(|(of, _)| of == column).unwrap();
            let run = host.run(&host.prepare("test", module).unwrap()).unwrap();
            assert_eq!(run.fuel, Some(*count), "{column}");
        }
    }

    #[test]
    fn a_loop_is_counted_round_by_round() {
        let body = "(loop $next (drop (i32.mul (local.get $n) (i32.const 3)))
            (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10))))";
        let expected = [
            ("Integer", 20),
            ("IntegerMul", 10),
            ("BrIf", 10),
            ("Loop", 1),
        ];
        check(body, &expected);
        check(body, &[("Move", 70), ("LocalSlots", 1)]);
    }

    #[test]
    fn bytes_and_pages_are_counted_by_length() {
        let body = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))
            (drop (memory.grow (i32.const 3)))";
        let expected = [
            ("Bulk", 1),
            ("BulkBytes", 1_000),
            ("MemoryGrow", 1),
            ("Pages", 3),
        ];
        check(body, &expected);
    }
}
