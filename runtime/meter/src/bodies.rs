//! Validates and rewrites all bodies, callees before their callers.
//!
//! A caller needs to know what its callees need: whether they take the depth, and how deep they go.
//! So bodies are written in the order of the call graph's components, and each is kept as bytes
//! until all are there. Which body is at fault first is still a matter of the text's order.

use wasm_encoder::CodeSection;
use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, Parser, ValidPayload, Validator,
    ValidatorResources,
};

use crate::admission::{Module, cap};
use crate::callees::Callees;
use crate::callgraph::Node;
use crate::emit::{Places, write_body};
use crate::ir;
use crate::limits;
use crate::plan::BodyPlan;
use crate::rejected::{Rejected, place};
use crate::schedule::Schedule;
use crate::stack::{Depth, Need, Stack};
use crate::types::{Types, encode_all};
use crate::{Profile, features};

/// A metered body.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) ty: u32,
    pub(crate) bytes: Vec<u8>,
    /// What a caller from outside must grant.
    pub(crate) need: Need,
    pub(crate) takes_depth: bool,
}

/// What all bodies are written with.
pub(crate) struct Context<'m> {
    pub(crate) module: &'m Module<'m>,
    pub(crate) profile: &'m Profile,
    pub(crate) schedule: &'m Schedule,
    pub(crate) places: &'m Places,
}

/// Validates `original` as a whole and rewrites its bodies, which come in their own order.
pub(crate) fn write(
    original: &[u8],
    context: &Context<'_>,
    types: &mut Types,
) -> Result<Vec<Written>, Rejected> {
    let module = context.module;
    let graph = module.call_graph();
    let components = graph.components();

    let (bodies, later_fault) = read(original, context.profile);
    let mut writer = Writer {
        context,
        types,
        stack: Stack::new(&graph, module.functions.len(), module.types.len()),
        folded: vec![None; module.functions.len()],
        is_door: module.doors(),
        allocations: FuncValidatorAllocations::default(),
        written: Vec::new(),
        fault: None,
        bytes: 0,
    };
    writer.written.resize_with(bodies.len(), Written::default);
    let mut bodies: Vec<_> = bodies.into_iter().map(Some).collect();
    for component in components.iter() {
        writer.stack.open(&component);
        for node in component.nodes {
            let Node::Function(function) = *node else {
                continue;
            };
            let body = bodies.get_mut(function as usize).and_then(Option::take);
            if let Some(body) = body {
                writer.write(function, body)?;
            }
        }
    }
    match writer.fault.map(|(_, fault)| fault).or(later_fault) {
        Some(fault) => Err(fault),
        None => Ok(writer.written),
    }
}

/// The bodies of a module in their order.
type Bodies<'a> = Vec<(FuncToValidate<ValidatorResources>, FunctionBody<'a>)>;

/// Validates all but the bodies, as far as the first fault, and collects them.
fn read<'a>(original: &'a [u8], profile: &Profile) -> (Bodies<'a>, Option<Rejected>) {
    let features = features(profile);
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut bodies = Vec::new();
    for payload in parser.parse_all(original) {
        match payload.and_then(|payload| validator.payload(&payload)) {
            Ok(ValidPayload::Func(function, body)) => bodies.push((function, body)),
            Ok(_) => {}
            Err(fault) => return (bodies, Some(fault.into())),
        }
    }
    (bodies, None)
}

struct Writer<'w, 'm> {
    context: &'w Context<'m>,
    types: &'w mut Types,
    stack: Stack<'w>,
    /// What each function costs, if its callers charge for it.
    folded: Vec<Option<u64>>,
    /// Whether the host can reach each function.
    is_door: Vec<bool>,
    allocations: FuncValidatorAllocations,
    written: Vec<Written>,
    /// The first body at fault so far, in the order of the text.
    fault: Option<(u32, Rejected)>,
    bytes: usize,
}

impl Writer<'_, '_> {
    /// Writes one body, unless an earlier one is at fault.
    fn write(
        &mut self,
        function: u32,
        (validator, body): (FuncToValidate<ValidatorResources>, FunctionBody<'_>),
    ) -> Result<(), Rejected> {
        let first = self.fault.as_ref().map(|(first, _)| *first);
        if first.is_some_and(|first| first < function) {
            return Ok(());
        }
        if let Err(fault) = self.rewrite(function, validator, &body) {
            self.fault = Some((function, fault));
        }
        // Checked as it grows: tiny instructions with large charges could fill the memory.
        let max = limits::METERED_BYTES_MAX as u64;
        cap("bytes after metering", self.bytes as u64, max, None)
    }

    fn rewrite(
        &mut self,
        function: u32,
        validator: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), Rejected> {
        let Context {
            module,
            profile,
            schedule,
            places,
        } = *self.context;
        let ty = module.functions.get(function as usize).copied();
        let Some((ty, signature)) = ty.and_then(|ty| Some((ty, module.types.get(ty as usize)?)))
        else {
            return Err(ir::internal("a body without a type"));
        };
        let mut validator = validator.into_validator(std::mem::take(&mut self.allocations));
        let code = ir::read(body, signature.params(), &mut validator, profile.simd)?;
        self.allocations = validator.into_allocations();

        let may_fold = self.stack.is_only_called(function) && !self.is_door[function as usize];
        let plan = BodyPlan::new(&code, &self.callees(), may_fold, schedule)?;
        let depth = self.stack.decide(function, plan.frame, plan.fuel.calls);
        let result = self.types.block(&encode_all(signature.results()));
        let callees = self.callees();
        let code = write_body(&code, &plan, depth, places, callees, result)?;
        let at = Some(place(body.range().start));
        let max = limits::METERED_BODY_BYTES_MAX as u64;
        let size = code.byte_len();
        cap(
            "bytes in a function body after metering",
            size as u64,
            max,
            at,
        )?;
        self.bytes += size;
        self.folded[function as usize] = plan.fuel.folded;
        self.keep(function, ty, depth, code.into_raw_body());
        Ok(())
    }

    fn callees(&self) -> Callees<'_> {
        Callees {
            imports: self.context.places.imports,
            stack: &self.stack,
            folded: &self.folded,
            unified: &self.context.module.unified,
        }
    }

    fn keep(&mut self, function: u32, ty: u32, depth: Depth, bytes: Vec<u8>) {
        let ty = if self.folded[function as usize].is_some() {
            ty
        } else if depth.is_parameter {
            self.types.threaded(ty)
        } else {
            self.types.threaded_flat(ty)
        };
        self.written[function as usize] = Written {
            ty,
            bytes,
            need: self.stack.of_function(function),
            takes_depth: depth.is_parameter,
        };
    }
}

/// Moves all bodies into the code section.
pub(crate) fn section(written: &mut [Written]) -> CodeSection {
    let mut code = CodeSection::new();
    for body in written {
        code.raw(&std::mem::take(&mut body.bytes));
    }
    code
}
