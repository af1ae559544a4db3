//! What is known about the functions that a body calls: callees are decided before their callers.

use crate::stack::{Need, Stack};

/// The functions of a module, as far as they are decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Callees<'c> {
    /// Imported functions.
    pub(crate) imports: u32,
    pub(crate) stack: &'c Stack<'c>,
    /// What each defined function costs, if its callers charge for it.
    pub(crate) folded: &'c [Option<u64>],
    /// The type that stands for each type.
    pub(crate) unified: &'c [u32],
}

impl Callees<'_> {
    /// The place of a function among the defined ones, or nothing if it is imported.
    pub(crate) fn defined(&self, function: u32) -> Option<u32> {
        function.checked_sub(self.imports)
    }

    /// What a function costs, if its callers charge for it.
    pub(crate) fn folded(&self, function: u32) -> Option<u64> {
        let defined = self.defined(function)?;
        self.folded.get(defined as usize).copied().flatten()
    }

    /// Whether fuel is handed to a function of the module that charges for itself.
    pub(crate) fn is_threaded(&self, function: u32) -> bool {
        self.defined(function).is_some() && self.folded(function).is_none()
    }

    /// What calling a type of functions in the table needs.
    pub(crate) fn of_type(&self, ty: u32) -> Need {
        let unified = self.unified.get(ty as usize);
        unified.map_or(Need::default(), |ty| self.stack.of_type(*ty))
    }
}
