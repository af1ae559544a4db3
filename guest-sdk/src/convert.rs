//! How an input becomes a value and a value becomes an output.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// A value written as JSON on both sides of a call.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Order { items: Vec<u32> }
///
/// #[haar::function]
/// fn total(haar::Json(order): haar::Json<Order>) -> haar::Json<u32> {
///     haar::Json(order.items.iter().sum())
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Json<T>(pub T);

/// The input is not what the function takes. The buyer reads this text as an application error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A text was expected.
    #[error("the input is not UTF-8: the first bad byte is at {valid_bytes}")]
    NotUtf8 {
        /// How many bytes of text come before the first bad byte.
        valid_bytes: usize,
    },
    /// A JSON value of a certain shape was expected.
    #[error("the input is not the JSON that this function takes: {0}")]
    NotJson(#[from] serde_json::Error),
}

/// What a function can take.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of a Haar function",
    label = "cannot be read from the bytes of an input",
    note = "take `Vec<u8>`, `&[u8]`, `String`, `&str` or `haar::Json<T>` with `T: serde::Deserialize`"
)]
pub trait FromInput: Sized {
    /// Reads the whole input.
    fn from_input(input: Vec<u8>) -> Result<Self, InputError>;
}

impl FromInput for Vec<u8> {
    fn from_input(input: Vec<u8>) -> Result<Self, InputError> {
        Ok(input)
    }
}

impl FromInput for String {
    fn from_input(input: Vec<u8>) -> Result<Self, InputError> {
        Self::from_utf8(input).map_err(|error| InputError::NotUtf8 {
            valid_bytes: error.utf8_error().valid_up_to(),
        })
    }
}

impl<T: DeserializeOwned> FromInput for Json<T> {
    fn from_input(input: Vec<u8>) -> Result<Self, InputError> {
        Ok(Self(serde_json::from_slice(&input)?))
    }
}

/// What a function can give back. The error is the text of an application error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the output of a Haar function",
    label = "cannot be written as the bytes of an output",
    note = "return `Vec<u8>`, `String`, `&str` or `haar::Json<U>` with `U: serde::Serialize`, \
            or a `Result` of one of them whose error implements `Display`"
)]
pub trait IntoOutput {
    /// Writes the whole output.
    fn into_output(self) -> Result<Vec<u8>, String>;
}

impl IntoOutput for Vec<u8> {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(self)
    }
}

impl IntoOutput for String {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(self.into_bytes())
    }
}

impl IntoOutput for &str {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(self.as_bytes().to_vec())
    }
}

impl IntoOutput for &[u8] {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(self.to_vec())
    }
}

impl<U: Serialize> IntoOutput for Json<U> {
    fn into_output(self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(&self.0)
            .map_err(|error| format!("the output cannot be written as JSON: {error}"))
    }
}

impl<U: IntoOutput, E: Display> IntoOutput for Result<U, E> {
    fn into_output(self) -> Result<Vec<u8>, String> {
        self.map_err(|error| error.to_string())?.into_output()
    }
}
