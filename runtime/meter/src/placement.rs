//! Decides where fuel is charged and checked, so that a run pays at few places and exactly.
//!
//! The charge of a piece of code moves up to the last place from which it is certain to be spent:
//! a boundary charges for the cheapest way from it to the next boundary, and a way that turns out
//! dearer charges the rest where it parts from cheaper ones. This is the potential method: with
//! φ(node) as what is paid ahead at its start, a way u → v charges cost(u) + φ(v) − φ(u), and the sum
//! along any whole run telescopes to the sum of its costs. The same idea places counters in
//! profilers (Ball and Larus, *Optimally profiling and tracing programs*, TOPLAS 1994) and charges
//! in AccTEE (Goltzsche et al., Middleware 2019); here no place may be ahead of the cheapest way,
//! because a check that comes early would end a run that could pay.

use crate::flow::{Flow, Kind, Node, Place, Side, Way};

/// What may run without a check: a function without calls that never costs more is not checked.
pub(crate) const UNCHECKED_COST_MAX: u64 = 1_024;

/// A charge of fuel at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) place: Place,
    pub(crate) amount: u64,
    pub(crate) is_checked: bool,
}

/// Places the charges of a body, in the order of their places and at most one at each.
pub(crate) fn place(flow: &Flow) -> Vec<Charge> {
    let ahead = pay_ahead(flow);
    let dearest = flow.nodes.iter().map(|node| node.reach + node.cost).max();
    let checks_entry = flow.calls_unchecked || dearest.unwrap_or(0) > UNCHECKED_COST_MAX;

    let mut charges = Vec::new();
    for index in &flow.order {
        let (node, paid) = (&flow.nodes[*index as usize], ahead[*index as usize].amount);
        if node.kind.is_boundary() {
            let place = Place {
                index: node.start,
                side: Side::Before,
            };
            let is_checked = match node.kind {
                Kind::Header => true,
                Kind::Entry => checks_entry,
                Kind::Crowded | Kind::Plain => false,
            };
            charges.push(Charge {
                place,
                amount: paid,
                is_checked,
            });
        }
        for way in node.ways.iter().flatten() {
            let needed = node.cost + seen_from_before(flow, &ahead, way);
            charges.push(Charge {
                place: way.place,
                // A way to certain abort may be cheaper than what was paid ahead for the others.
                amount: needed.saturating_sub(paid),
                is_checked: false,
            });
        }
    }
    charges.retain(|charge| charge.amount > 0 || charge.is_checked);
    merge(charges)
}

/// What has been paid ahead when a node starts.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    amount: u64,
    /// Whether some way from the node reaches a boundary or an exit. On all others every way ends
    /// in `unreachable`, and they must be paid, too: the host function called before it never came
    /// back, perhaps.
    is_live: bool,
}

/// The potential of each node, by one pass against the order of the text.
fn pay_ahead(flow: &Flow) -> Vec<Ahead> {
    let mut ahead = vec![Ahead::default(); flow.nodes.len()];
    for index in flow.order.iter().rev() {
        let node = &flow.nodes[*index as usize];
        let is_live = node.leaves
            || node
                .ways
                .iter()
                .flatten()
                .any(|way| leads_on(flow, &ahead, way));
        ahead[*index as usize] = Ahead {
            amount: node.cost + cheapest(flow, &ahead, node, is_live),
            is_live,
        };
    }
    ahead
}

/// The cheapest way on from the end of a node; of a live one only ways that lead on count.
fn cheapest(flow: &Flow, ahead: &[Ahead], node: &Node, is_live: bool) -> u64 {
    let ends_here = if is_live { node.leaves } else { node.aborts };
    if ends_here {
        return 0;
    }
    let ways = node.ways.iter().flatten();
    ways.filter(|way| !is_live || leads_on(flow, ahead, way))
        .map(|way| seen_from_before(flow, ahead, way))
        .min()
        .unwrap_or(0)
}

fn leads_on(flow: &Flow, ahead: &[Ahead], way: &Way) -> bool {
    flow.nodes[way.to as usize].kind.is_boundary() || ahead[way.to as usize].is_live
}

/// What must be paid before the target of a way starts: a boundary pays for itself.
fn seen_from_before(flow: &Flow, ahead: &[Ahead], way: &Way) -> u64 {
    if flow.nodes[way.to as usize].kind.is_boundary() {
        0
    } else {
        ahead[way.to as usize].amount
    }
}

/// Sorts by place and adds up what stands at the same one.
fn merge(mut charges: Vec<Charge>) -> Vec<Charge> {
    charges.sort_by_key(|charge| charge.place);
    charges.dedup_by(|next, first| {
        let is_same = next.place == first.place;
        if is_same {
            first.amount += next.amount;
            first.is_checked |= next.is_checked;
        }
        is_same
    });
    charges
}
