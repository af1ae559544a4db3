//! Writes the export that runs an author's initialisation, and says which functions can be one.

use crate::signature::Refusal;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemFn, ReturnType, Signature, Type};

/// Expands the attribute. An error keeps the author's item, so that it is reported once.
pub fn expand(arguments: &TokenStream, item: TokenStream) -> TokenStream {
    try_expand(arguments, item.clone()).unwrap_or_else(|refusal| {
        let error = refusal.into_compile_error();
        quote!(#item #error)
    })
}

fn try_expand(arguments: &TokenStream, item: TokenStream) -> Result<TokenStream, Refusal> {
    if !arguments.is_empty() {
        return Err(Refusal::new(
            arguments,
            "`#[haar::init]` takes no arguments",
        ));
    }
    let function: ItemFn = syn::parse2(item.clone())
        .map_err(|_| Refusal::new(item, "`#[haar::init]` goes on a function"))?;
    check(&function.sig)?;
    let name = &function.sig.ident;
    Ok(quote! {
        #function

        const _: () = {
            // Natively nothing calls it; this keeps it from being reported as unused.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn() = #name;

            #[cfg(target_arch = "wasm32")]
            #[allow(unsafe_code)]
            const _: () = {
                #[unsafe(no_mangle)]
                extern "C" fn haar_init() {
                    ::haar::guest::init(#name)
                }
            };
        };
    })
}

/// Refuses what could not be called once, before any input is there.
fn check(signature: &Signature) -> Result<(), Refusal> {
    if let Some(token) = &signature.asyncness {
        let message = "`#[haar::init]` runs to its end without waiting: remove `async`";
        return Err(Refusal::new(token, message));
    }
    if let Some(token) = &signature.unsafety {
        let message = "`#[haar::init]` is called without any promise: it cannot be `unsafe`";
        return Err(Refusal::new(token, message));
    }
    if let Some(abi) = &signature.abi {
        let message = "`#[haar::init]` makes the export itself: remove `extern`";
        return Err(Refusal::new(abi, message));
    }
    if !signature.generics.params.is_empty() {
        let message = "`#[haar::init]` cannot be generic: nobody could choose the types";
        return Err(Refusal::new(&signature.generics, message));
    }
    if !signature.inputs.is_empty() {
        let message = "`#[haar::init]` has no input: it runs once, before there is a job";
        return Err(Refusal::new(&signature.inputs, message));
    }
    match &signature.output {
        ReturnType::Default => Ok(()),
        ReturnType::Type(_, output) => match &**output {
            Type::Tuple(tuple) if tuple.elems.is_empty() => Ok(()),
            other => Err(Refusal::new(
                other,
                "`#[haar::init]` returns nothing: keep what it makes in a static, and panic if it cannot be made",
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Expands the attribute over `item` and compares the message.
    #[track_caller]
    fn check(item: &str, message: &str) {
        let refusal = try_expand(&TokenStream::new(), item.parse().unwrap()).unwrap_err();
        assert!(refusal.message.contains(message), "{}", refusal.message);
    }

    #[test]
    fn what_cannot_run_before_a_job_is_refused_with_the_reason() {
        check("struct Table;", "goes on a function");
        check("async fn warm() {}", "remove `async`");
        check("unsafe fn warm() {}", "cannot be `unsafe`");
        check("extern \"C\" fn warm() {}", "remove `extern`");
        check("fn warm<T>() {}", "cannot be generic");
        check("fn warm(input: String) {}", "has no input");
        check("fn warm() -> u32 { 1 }", "returns nothing");
    }

    #[test]
    fn arguments_are_refused() {
        let item = "fn warm() {}".parse().unwrap();
        let refusal = try_expand(&"fast".parse().unwrap(), item).unwrap_err();
        assert_eq!(refusal.message, "`#[haar::init]` takes no arguments");
    }

    #[test]
    fn the_function_stays_and_the_export_stands_beside_it() {
        for item in ["fn warm() { fill(); }", "pub fn warm() -> () { fill(); }"] {
            let tokens = try_expand(&TokenStream::new(), item.parse().unwrap()).unwrap();
            let file: syn::File = syn::parse2(tokens).unwrap();
            let text = quote!(#file).to_string();
            assert!(text.contains("fn warm ()"), "{text}");
            assert!(text.contains("fn haar_init () { :: haar :: guest :: init (warm) }"));
        }
    }

    #[test]
    fn a_refused_function_is_kept_so_that_its_name_is_known() {
        let item: TokenStream = "fn warm(input: String) {}".parse().unwrap();
        let text = expand(&TokenStream::new(), item).to_string();
        assert!(text.starts_with("fn warm"), "{text}");
        assert!(text.contains("compile_error"), "{text}");
    }
}
