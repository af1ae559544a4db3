//! Writes the code that stands beside an author's function.

use crate::signature::{Entry, Refusal, refuse_arguments};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ItemFn;
use syn::spanned::Spanned;

/// Which of the two attributes is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Function,
    Http,
}

impl Kind {
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Function => "#[haar::function]",
            Self::Http => "#[haar::http]",
        }
    }

    /// The word in the module's manifest.
    fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Http => "http",
        }
    }

    pub fn input_advice(self) -> &'static str {
        match self {
            Self::Function => {
                "`#[haar::function]` needs exactly one argument, its input: \
                 `Vec<u8>`, `&[u8]`, `String`, `&str` or `haar::Json<T>`"
            }
            Self::Http => "`#[haar::http]` needs exactly one argument: `haar::Request`",
        }
    }

    pub fn borrowed_input_advice(self) -> &'static str {
        match self {
            Self::Function => {
                "the input can be borrowed as `&[u8]` or `&str` only; \
                 take anything else by value, for example `haar::Json<T>`"
            }
            Self::Http => "take the request by value: `haar::Request`",
        }
    }

    pub fn output_advice(self) -> &'static str {
        match self {
            Self::Function => {
                "`#[haar::function]` must return its output: `Vec<u8>`, `String`, `&str` or \
                 `haar::Json<U>`, alone or as `Result<_, E>`"
            }
            Self::Http => "`#[haar::http]` must return a `haar::Response`",
        }
    }
}

/// Expands one attribute. An error keeps the author's item, so that it is reported once and not
/// again at every place that names the function.
pub fn expand(kind: Kind, arguments: &TokenStream, item: TokenStream) -> TokenStream {
    try_expand(kind, arguments, item.clone()).unwrap_or_else(|refusal| {
        let error = refusal.into_compile_error();
        quote!(#item #error)
    })
}

fn try_expand(
    kind: Kind,
    arguments: &TokenStream,
    item: TokenStream,
) -> Result<TokenStream, Refusal> {
    refuse_arguments(kind, arguments)?;
    let function: ItemFn = syn::parse2(item.clone())
        .map_err(|_| Refusal::new(item, format!("`{}` goes on a function", kind.attribute())))?;
    let entry = Entry::of(kind, &function)?;

    let answer = match kind {
        Kind::Function => answer_function(&entry),
        Kind::Http => answer_http(&entry),
    };
    let exports = exports(kind);

    // The names around the call are long: a short one could hide the author's function, as a
    // parameter `input` would hide a function called `input`.
    Ok(quote! {
        #function

        const _: () = {
            fn __haar_answer(__haar_input: ::std::vec::Vec<u8>) -> ::std::vec::Vec<u8> {
                #answer
            }

            // Natively nothing calls the function; this keeps it from being reported as unused.
            #[cfg(not(target_arch = "wasm32"))]
            const _: fn(::std::vec::Vec<u8>) -> ::std::vec::Vec<u8> = __haar_answer;

            #exports
        };
    })
}

fn answer_function(entry: &Entry) -> TokenStream {
    let input = &entry.input;
    let (owned, borrow) = if entry.is_borrowed {
        (quote!(<#input as ::std::borrow::ToOwned>::Owned), quote!(&))
    } else {
        (quote!(#input), quote!())
    };
    // The span makes the compiler point at the return type when that cannot be an output.
    let at_output = entry.output.span();
    let name = located(&entry.name, at_output);
    let output = quote_spanned! {at_output=>
        ::haar::IntoOutput::into_output(#name(#borrow __haar_input))
    };
    quote! {
        ::haar::guest::answer::<#owned>(__haar_input, |__haar_input| #output)
    }
}

fn answer_http(entry: &Entry) -> TokenStream {
    let input = &entry.input;
    let request = quote_spanned! {input.span()=>
        let __haar_request: #input = __haar_request;
    };
    let at_output = entry.output.span();
    let name = located(&entry.name, at_output);
    let response = quote_spanned! {at_output=>
        let __haar_response: ::haar::Response = #name(__haar_request);
    };
    quote! {
        ::haar::guest::serve(__haar_input, |__haar_request| {
            #request
            #response
            __haar_response
        })
    }
}

/// The same name, so that an error that concerns it is reported at another place.
fn located(name: &Ident, place: Span) -> Ident {
    let mut located = name.clone();
    located.set_span(name.span().located_at(place));
    located
}

/// The exports of guest ABI 1 and the manifest, for wasm32 only.
fn exports(kind: Kind) -> TokenStream {
    let kind_word = kind.word();
    quote! {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn haar_abi_v1() -> i32 {
                ::haar::guest::ABI_FEATURES
            }

            #[unsafe(no_mangle)]
            extern "C" fn haar_alloc(len: i32) -> i32 {
                ::haar::guest::alloc(len)
            }

            #[unsafe(no_mangle)]
            extern "C" fn haar_run(ptr: i32, len: i32) -> i64 {
                ::haar::guest::run(ptr, len, __haar_answer)
            }

            const TEXT: &[u8] = ::std::concat!(
                "{\"name\":\"", ::std::env!("CARGO_PKG_NAME"),
                "\",\"version\":\"", ::std::env!("CARGO_PKG_VERSION"),
                "\",\"abi\":1,\"kind\":\"", #kind_word, "\"}"
            ).as_bytes();

            #[used]
            #[unsafe(link_section = "haar.manifest")]
            static MANIFEST: [u8; TEXT.len()] = *TEXT.first_chunk().expect("its own length");
        };
    }
}

#[cfg(test)]
mod tests;
