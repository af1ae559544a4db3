//! One attempt's stream: the hub's messages go to the driver, the driver's words to the hub.

use std::sync::Arc;
use std::time::Duration;

use haar_records::JobId;
use haar_records::wire::{Offer, ToHub, ToMiner};
use haar_swarm::{Frames, FramesError};
use tokio::sync::mpsc;

use crate::driver::{Driver, Word, shortened};
use crate::event::MinerEvent;
use crate::fault::HubFault;

/// How long a hub may take from opening a stream to its offer.
const OFFER_MAX: Duration = Duration::from_secs(10);
/// Words that wait for a hub that does not read. A conversation has four.
const WORDS_MAX: usize = 8;

/// Why an attempt's stream ends before its time.
#[derive(Debug)]
enum Broken {
    /// The hub broke the rules.
    Hub(HubFault),
    /// The stream or the connection is gone; the hub offers again what it still wants.
    Stream(String),
}

impl From<HubFault> for Broken {
    fn from(fault: HubFault) -> Self {
        Self::Hub(fault)
    }
}

impl From<FramesError> for Broken {
    fn from(error: FramesError) -> Self {
        if error.is_peers_fault() {
            Self::Hub(HubFault::Unreadable(error.to_string()))
        } else {
            Self::Stream(error.to_string())
        }
    }
}

/// Keeps one attempt's stream from its offer to its end.
pub(crate) async fn attend(driver: Arc<Driver>, mut frames: Frames) {
    let mut job = None;
    match converse(&driver, &mut frames, &mut job).await {
        Ok(()) => {}
        Err(Broken::Stream(reason)) => {
            tracing::debug!(target: "haar::attempt::broken", %reason);
        }
        Err(Broken::Hub(fault)) => {
            tracing::warn!(target: "haar::hub::faulted", %fault);
            driver.tell(MinerEvent::Faulted { job, fault });
        }
    }
    frames.finish();
}

async fn converse(
    driver: &Arc<Driver>,
    frames: &mut Frames,
    known: &mut Option<JobId>,
) -> Result<(), Broken> {
    let offer = read_offer(frames).await?;
    let job = JobId(offer.assignment.record.jobId);
    *known = Some(job);

    let (route, mut words) = mpsc::channel(WORDS_MAX);
    let taken = driver
        .parties
        .check_offer(&offer)
        .and_then(|()| driver.offered(offer, route));
    if let Err(fault) = taken {
        // Told, and not only closed: another attempt of the hub would fail alike.
        let reason = shortened(&fault.to_string());
        frames.send(&ToHub::Declined { reason }).await?;
        return Err(fault.into());
    }

    loop {
        tokio::select! {
            // Nothing more comes when the job is forgotten, or has a newer stream.
            word = words.recv() => {
                let Some(word) = word else { return Ok(()) };
                if say(driver, frames, job, word).await? {
                    return Ok(());
                }
            }
            message = frames.recv::<ToMiner>() => {
                let Some(message) = message? else { return Ok(()) };
                match message {
                    ToMiner::Offer(_) => return Err(HubFault::OutOfTurn.into()),
                    ToMiner::RevealRequest { seal_set, seals } => {
                        driver.reveal_requested(job, &seal_set, &seals)?;
                    }
                    ToMiner::Closed { end, credit } => {
                        driver.closed(job, end, credit).await?;
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Says a word; true when there is nothing to say after it.
async fn say(driver: &Driver, frames: &mut Frames, job: JobId, word: Word) -> Result<bool, Broken> {
    let is_last = word.is_last();
    if let Some(message) = driver.message(job, word) {
        frames.send(&message).await?;
    }
    Ok(is_last)
}

async fn read_offer(frames: &mut Frames) -> Result<Box<Offer>, Broken> {
    let message = tokio::time::timeout(OFFER_MAX, frames.recv::<ToMiner>())
        .await
        .map_err(|_| HubFault::OutOfTurn)??;
    match message {
        Some(ToMiner::Offer(offer)) => Ok(offer),
        Some(_) => Err(HubFault::OutOfTurn.into()),
        None => Err(Broken::Stream("the hub offered nothing".to_owned())),
    }
}
