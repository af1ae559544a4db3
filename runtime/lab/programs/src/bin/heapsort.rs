//! Sorts by a heap: unpredictable branches and loads.
use lab_programs::{Random, fold, report, scale};

fn sink(heap: &mut [u32], mut at: usize) {
    loop {
        let mut child = 2 * at + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && heap[child] < heap[child + 1] {
            child += 1;
        }
        if heap[at] >= heap[child] {
            return;
        }
        heap.swap(at, child);
        at = child;
    }
}

fn main() {
    let mut random = Random::new();
    let mut heap: Vec<u32> = (0..scale(900_000)).map(|_| random.next() as u32).collect();
    (0..heap.len() / 2).rev().for_each(|at| sink(&mut heap, at));
    for end in (1..heap.len()).rev() {
        heap.swap(0, end);
        sink(&mut heap[..end], 0);
    }
    report(
        heap.iter()
            .step_by(997)
            .fold(0, |sum, &value| fold(sum, value.into())),
    );
}
