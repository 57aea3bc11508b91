//! The reactor on every backend and trigger.

mod blocking;
mod boxed;
mod clock;
mod contract;
mod costs;
mod done;
mod ends;
mod explore;
mod extremes;
mod fairness;
mod faulty;
mod faulty_sources;
mod handle;
mod interrupts;
mod isolation;
mod model;
mod notify;
mod parking;
mod prepare_poll;
mod registry;
mod shortage;
mod signals;
mod switch;
mod take;
mod timers;
mod turns;
