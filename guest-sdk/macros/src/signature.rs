//! Decides whether a function can be the entry point of a module, and says why not.
//!
//! Only what can be seen in the tokens is checked here. Whether a type can be read from bytes or
//! written to them is left to the compiler, which knows the types.

use crate::expansion::Kind;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{FnArg, Ident, ItemFn, ReturnType, Signature, Type};

/// Why a function cannot be an entry point, and the tokens that the compiler should underline.
#[derive(Debug)]
pub struct Refusal {
    pub message: String,
    pub at: TokenStream,
}

impl Refusal {
    pub fn new(at: impl ToTokens, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at: at.into_token_stream(),
        }
    }

    pub fn into_compile_error(self) -> TokenStream {
        syn::Error::new_spanned(self.at, self.message).into_compile_error()
    }
}

/// What the expansion needs to know about the author's function.
pub struct Entry {
    pub name: Ident,
    /// The type to decode: for `&[u8]` and `&str` what stands behind the `&`.
    pub input: Type,
    /// The function borrows its input, so the expansion owns it for the time of the call.
    pub is_borrowed: bool,
    pub output: Type,
}

impl Entry {
    /// Reads the parts of `function`, or points at the part that an entry point cannot have.
    pub fn of(kind: Kind, function: &ItemFn) -> Result<Self, Refusal> {
        let signature = &function.sig;
        refuse_modifiers(kind, signature)?;

        let declared = sole_input(kind, signature)?;
        let (input, is_borrowed) = match declared {
            Type::Reference(reference) => {
                if kind == Kind::Http
                    || reference.mutability.is_some()
                    || !is_bytes(&reference.elem)
                {
                    return Err(Refusal::new(declared, kind.borrowed_input_advice()));
                }
                ((*reference.elem).clone(), true)
            }
            Type::ImplTrait(_) => {
                return Err(Refusal::new(
                    declared,
                    "the input needs one concrete type: the bytes come from outside, nobody chooses it",
                ));
            }
            _ => (declared.clone(), false),
        };

        let ReturnType::Type(_, output) = &signature.output else {
            return Err(Refusal::new(signature, kind.output_advice()));
        };
        Ok(Self {
            name: signature.ident.clone(),
            input,
            is_borrowed,
            output: (**output).clone(),
        })
    }
}

/// The attributes take no arguments yet; a silently ignored one would look as if it worked.
pub fn refuse_arguments(kind: Kind, arguments: &TokenStream) -> Result<(), Refusal> {
    if arguments.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        arguments,
        format!("`{}` takes no arguments", kind.attribute()),
    ))
}

fn refuse_modifiers(kind: Kind, signature: &Signature) -> Result<(), Refusal> {
    let attribute = kind.attribute();
    if let Some(token) = &signature.asyncness {
        return Err(Refusal::new(
            token,
            format!("`{attribute}` runs to its end without waiting: remove `async`"),
        ));
    }
    if let Some(token) = &signature.unsafety {
        return Err(Refusal::new(
            token,
            format!("`{attribute}` is called with any input: it cannot be `unsafe`"),
        ));
    }
    if let Some(abi) = &signature.abi {
        return Err(Refusal::new(
            abi,
            format!("`{attribute}` makes the export itself: remove `extern`"),
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Refusal::new(
            &signature.generics,
            format!("`{attribute}` cannot be generic: nobody could choose the types"),
        ));
    }
    Ok(())
}

fn sole_input(kind: Kind, signature: &Signature) -> Result<&Type, Refusal> {
    let mut inputs = signature.inputs.iter();
    let Some(first) = inputs.next() else {
        return Err(Refusal::new(signature, kind.input_advice()));
    };
    if let Some(second) = inputs.next() {
        return Err(Refusal::new(second, kind.input_advice()));
    }
    match first {
        FnArg::Typed(input) => Ok(&input.ty),
        FnArg::Receiver(receiver) => Err(Refusal::new(
            receiver,
            format!(
                "`{}` goes on a free function, not on a method",
                kind.attribute()
            ),
        )),
    }
}

/// Whether a reference to this can be an input: `[u8]` or `str`.
fn is_bytes(referent: &Type) -> bool {
    match referent {
        Type::Slice(slice) => matches!(&*slice.elem, Type::Path(path) if path.path.is_ident("u8")),
        Type::Path(path) => path.path.is_ident("str"),
        _ => false,
    }
}
