//! Interprets a small stack machine's program: one large switch in a loop.
use lab_programs::{report, scale};

#[derive(Clone, Copy)]
enum Step {
    Push(i64),
    Get(usize),
    Set(usize),
    Add,
    Sub,
    Mul,
    And,
    Shift,
    Less,
    JumpIf(usize),
    Swap,
    Dup,
    Drop,
    End,
}

fn run(program: &[Step], rounds: i64) -> i64 {
    let (mut stack, mut slots, mut at) = (vec![0_i64; 16], [0_i64; 4], 0);
    let mut top = 0;
    slots[0] = rounds;
    loop {
        let step = program[at];
        at += 1;
        match step {
            Step::Push(value) => (stack[(top + 1) & 15], top) = (value, top + 1),
            Step::Get(slot) => (stack[(top + 1) & 15], top) = (slots[slot & 3], top + 1),
            Step::Set(slot) => (slots[slot & 3], top) = (stack[top & 15], top - 1),
            Step::Add => {
                (stack[(top - 1) & 15], top) =
                    (stack[(top - 1) & 15].wrapping_add(stack[top & 15]), top - 1)
            }
            Step::Sub => {
                (stack[(top - 1) & 15], top) =
                    (stack[(top - 1) & 15].wrapping_sub(stack[top & 15]), top - 1)
            }
            Step::Mul => {
                (stack[(top - 1) & 15], top) =
                    (stack[(top - 1) & 15].wrapping_mul(stack[top & 15]), top - 1)
            }
            Step::And => {
                (stack[(top - 1) & 15], top) = (stack[(top - 1) & 15] & stack[top & 15], top - 1)
            }
            Step::Shift => stack[top & 15] >>= 3,
            Step::Less => {
                (stack[(top - 1) & 15], top) =
                    ((stack[(top - 1) & 15] < stack[top & 15]).into(), top - 1)
            }
            Step::JumpIf(to) => (at, top) = (if stack[top & 15] != 0 { to } else { at }, top - 1),
            Step::Swap => stack.swap(top & 15, (top - 1) & 15),
            Step::Dup => (stack[(top + 1) & 15], top) = (stack[top & 15], top + 1),
            Step::Drop => top -= 1,
            Step::End => return slots[1],
        }
    }
}

fn main() {
    use Step::*;
    let program = [
        Get(1),
        Push(31),
        Mul,
        Get(0),
        Add,
        Dup,
        Shift,
        Swap,
        Drop,
        Push(0xff_ffff),
        And,
        Set(1),
        Get(0),
        Push(1),
        Sub,
        Dup,
        Set(0),
        Push(0),
        Swap,
        Less,
        JumpIf(0),
        End,
    ];
    report(run(&program, scale(3_000_000).into()) as u64);
}
