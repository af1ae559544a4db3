//! What the expansions of the attributes call. No author needs it, and it may change with them.

#[cfg(any(test, target_arch = "wasm32"))]
mod buffers;

use crate::answer::Answer;
use crate::convert::FromInput;
use crate::http::{Request, Response, Wire};

/// What `haar_abi_v1` returns: a bit for each optional feature of the ABI. There is none yet.
pub const ABI_FEATURES: i32 = 0;

/// Answers one call of a `#[haar::function]` with its response frame.
pub fn answer<T: FromInput>(
    input: Vec<u8>,
    function: impl FnOnce(T) -> Result<Vec<u8>, String>,
) -> Vec<u8> {
    let outcome = match T::from_input(input) {
        Ok(value) => function(value),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(output) => Answer::Output(output).to_frame(),
        Err(message) => Answer::ApplicationError(message).to_frame(),
    }
}

/// Answers one call of a `#[haar::http]` with its response frame.
pub fn serve(input: Vec<u8>, handler: impl FnOnce(Request) -> Response) -> Vec<u8> {
    let payload = Request::from_wire(&input).and_then(|request| handler(request).to_wire());
    match payload {
        Ok(payload) => Answer::Http(payload).to_frame(),
        Err(error) => Answer::ApplicationError(error.to_string()).to_frame(),
    }
}

#[cfg(target_arch = "wasm32")]
pub use wasm::{alloc, init, run};

/// The bodies of the exports. A native build has no 32-bit addresses to hand out.
#[cfg(target_arch = "wasm32")]
mod wasm {
    use super::buffers::Buffers;
    use std::sync::{Mutex, Once};

    // A module has one thread; the lock only satisfies the compiler.
    static BUFFERS: Mutex<Buffers> = Mutex::new(Buffers::new());

    /// The body of `haar_alloc`: 0 when there is no such room.
    pub fn alloc(len: i32) -> i32 {
        log_panics();
        let mut buffers = BUFFERS.lock().expect("a panic ends the module");
        let address = usize::try_from(len)
            .ok()
            .and_then(|len| buffers.reserve(len));
        address
            .and_then(|address| i32::try_from(address).ok())
            .unwrap_or(0)
    }

    /// The body of `haar_run`: where the response frame is, as `address << 32 | length`.
    pub fn run(ptr: i32, len: i32, answer: fn(Vec<u8>) -> Vec<u8>) -> i64 {
        log_panics();
        let input = BUFFERS
            .lock()
            .expect("a panic ends the module")
            .take(ptr as u32 as usize, len as u32 as usize)
            .expect("the host runs the input that haar_alloc made room for");

        let output = answer(input);

        let (address, len) = BUFFERS
            .lock()
            .expect("a panic ends the module")
            .keep(output);
        (address as i64) << 32 | len as i64
    }

    /// The body of `haar_init`: a panic in it is shown to whoever publishes.
    pub fn init(warm: fn()) {
        log_panics();
        warm();
    }

    /// A panic ends in `unreachable`, which has no text. The text goes to the log first.
    fn log_panics() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|panic| crate::log(&panic.to_string())));
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::convert::{IntoOutput, Json};

    #[test]
    fn an_output_is_an_answer_and_an_error_is_one_too() {
        let half = |Json(number): Json<u32>| match number % 2 {
            0 => Ok(Json(number / 2)),
            _ => Err("the number is odd"),
        };
        let call = |input: &[u8]| answer(input.to_vec(), |input| half(input).into_output());
        assert_eq!(call(b"84"), b"\x0042");
        assert_eq!(call(b"7"), b"\x01the number is odd");
        assert!(call(b"seven").starts_with(b"\x01the input is not the JSON"));
    }

    #[test]
    fn a_request_frame_is_answered_with_a_response_payload() {
        let frame = Request::new("GET", "/fog").to_wire().unwrap();
        let answer = serve(frame, |request| Response::text(request.path()));
        assert_eq!(answer[0], 2);
        assert_eq!(
            Response::from_wire(&answer[1..]),
            Ok(Response::text("/fog"))
        );
    }

    #[test]
    fn a_response_that_cannot_be_sent_is_an_application_error() {
        let frame = Request::new("GET", "/").to_wire().unwrap();
        let answer = serve(frame, |_| {
            Response::status(200).with_header("x-a", "1\r\nx-b: 2")
        });
        assert_eq!(answer, b"\x01the header \"x-a\" cannot be sent");
    }

    #[test]
    fn a_frame_that_is_no_request_is_an_application_error() {
        let frame = serve(b"hello".to_vec(), |_| Response::text("never"));
        assert_eq!(frame[0], 1);
        assert_eq!(
            &frame[1..],
            b"the request frame has version 104; this module reads version 1"
        );
    }
}
