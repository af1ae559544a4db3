//! Where NaNs of the engine's choice are made canonical: where their bits can be seen, and
//! nowhere else.
//!
//! Engines may give a computed NaN any sign and payload (IEEE 754-2019 §6.2, WebAssembly/design#477).
//! Canonicalising after every operation costs up to six times the run; almost all of those bits die
//! inside the next operation. So each float value is followed from where it is made to where it is
//! seen ([`walk`], [`graph`]), over locals and joins, and only what arrives at an
//! observer is made canonical, as late as possible, but outside of loops that do not change it.
//! Bits that the program loaded or was given are never touched.
//!
//! All is linear in the body: joins are capped, and beyond the cap locals count as observers.

mod access;
mod assigned;
mod graph;
mod stores;
mod walk;

use std::collections::BTreeMap;

use crate::floats::Shape;
use crate::ir::Code;
use crate::nan::assigned::{Assigned, float_locals};
use crate::nan::graph::{Graph, Node, Site};
pub(crate) use crate::nan::stores::Group;
use crate::rejected::Rejected;
use crate::{floats, nan::walk::Flow};

/// Values and uses that may be written down for each instruction of a body, before locals count
/// as observers. Programs stay below 4; ten thousand locals that change between a million branches do not.
const JOINS_PER_OP: usize = 16;
/// As many in any case.
const JOINS_MIN: usize = 1 << 14;
/// No body gets more.
const JOINS_MAX: usize = 1 << 22;

/// What the second walk does to floats.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NanPlan {
    /// Locals that are made canonical before an instruction, ascending.
    pub(crate) locals: Vec<(u32, u32, Shape)>,
    /// Instructions after which the top of the stack is made canonical, ascending.
    pub(crate) tops: Vec<(u32, Shape)>,
    /// Stores that are done raw and repaired, ascending.
    pub(crate) groups: Vec<Group>,
    pub(crate) temporaries: Temporaries,
}

/// The locals that canonicalising needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Temporaries {
    /// Whether a value of that kind must wait aside.
    pub(crate) f32: bool,
    pub(crate) f64: bool,
    pub(crate) v128: bool,
    /// Stores of the largest group of each kind.
    pub(crate) f32_stores: u32,
    pub(crate) f64_stores: u32,
    pub(crate) v128_stores: u32,
}

impl Temporaries {
    fn need(&mut self, shape: Shape) {
        match shape {
            Shape::F32 => self.f32 = true,
            Shape::F64 => self.f64 = true,
            Shape::F32x4 | Shape::F64x2 => self.v128 = true,
        }
    }

    fn need_stores(&mut self, group: &Group) {
        let stores = match group.shape {
            Shape::F32 => &mut self.f32_stores,
            Shape::F64 => &mut self.f64_stores,
            Shape::F32x4 | Shape::F64x2 => &mut self.v128_stores,
        };
        *stores = (*stores).max(group.stores.len() as u32);
        // The sum of several is tested on the side.
        if group.stores.len() > 1 {
            self.need(group.shape);
        }
    }

    /// Addresses that wait for the largest group.
    pub(crate) fn addresses(self) -> u32 {
        self.f32_stores.max(self.f64_stores).max(self.v128_stores)
    }

    /// Slots of 64 bits.
    pub(crate) fn slots(self) -> u64 {
        let scalars = u64::from(self.f32) + u64::from(self.f64);
        let stores = self.addresses() + self.f32_stores + self.f64_stores;
        let vectors = u32::from(self.v128) + self.v128_stores;
        scalars + u64::from(stores) + 2 * u64::from(vectors)
    }
}

/// Decides where the NaNs of a body are made canonical.
pub(crate) fn plan(code: &Code<'_>) -> Result<NanPlan, Rejected> {
    let makes_nans = code
        .ops
        .iter()
        .any(|op| op.is_live && floats::makes_nans(&op.op));
    if !makes_nans {
        return Ok(NanPlan::default());
    }
    let max = (JOINS_PER_OP * code.ops.len()).clamp(JOINS_MIN, JOINS_MAX);
    plan_within(code, max)
}

fn plan_within(code: &Code<'_>, joins_max: usize) -> Result<NanPlan, Rejected> {
    let floats = float_locals(code);
    let assigned = Assigned::new(code, &floats, joins_max);
    let mut flow = None;
    if let Some(assigned) = &assigned {
        flow = walk::walk(code, &floats, Some(assigned), joins_max)?;
    }
    let flow = match flow {
        Some(flow) => flow,
        None => walk::walk(code, &floats, None, usize::MAX)?.unwrap_or_default(),
    };
    Ok(place(code, flow))
}

/// Chooses where each exposed use is made canonical.
fn place(code: &Code<'_>, mut flow: Flow) -> NanPlan {
    flow.graph.solve();
    let at_makers = shared(&flow.graph);

    let mut plan = NanPlan::default();
    let mut stores = Vec::new();
    for (edge, shape) in flow.graph.exposed() {
        if let Some(maker) = at_makers.get(&edge.from) {
            plan.tops.push((*maker, shape));
            continue;
        }
        match edge.site {
            Site::Local { before, local } => plan.locals.push((before, local, shape)),
            Site::Top { after } => plan.tops.push((after, shape)),
            Site::Store { at } => stores.push((at, shape)),
        }
    }
    plan.locals.sort_unstable();
    plan.locals.dedup();
    plan.tops.sort_unstable();
    plan.tops.dedup();
    stores.sort_unstable();
    stores.dedup();
    plan.groups = stores::gather(code, &flow.accesses, &stores);

    // A local is its own temporary.
    for (_, shape) in &plan.tops {
        plan.temporaries.need(*shape);
    }
    for group in &plan.groups {
        plan.temporaries.need_stores(group);
    }
    plan
}

/// The values that are made canonical where they are made, with the instruction that makes them:
/// those that are seen more than once in the same loop or a deeper one, and not only by stores.
fn shared(graph: &Graph) -> BTreeMap<Node, u32> {
    let mut seen: BTreeMap<Node, (u32, bool)> = BTreeMap::new();
    for (edge, _) in graph.exposed() {
        let Some((_, level)) = graph.maker(edge.from) else {
            continue;
        };
        if edge.level >= level {
            let (times, beyond_stores) = seen.entry(edge.from).or_default();
            *times += 1;
            *beyond_stores |= !matches!(edge.site, Site::Store { .. });
        }
    }
    let shared = seen
        .into_iter()
        .filter(|(_, (times, beyond_stores))| *times > 1 && *beyond_stores);
    shared
        .filter_map(|(node, _)| Some((node, graph.maker(node)?.0)))
        .collect()
}
