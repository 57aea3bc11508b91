//! What is the same on every backend: adding, changing, removing, and refusals.

use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use support::selector::*;
use support::sockets::*;
use support::*;
use tripoll::selector::{Backend, Cost, Interest, Readiness, Selector, Token, Trigger};
use tripoll::sys;

const ONE: Token = Token::new(1, 0);
const OTHER: Token = Token::new(2, 0);

/// Two numbers that never are descriptors, and one that once was.
fn not_descriptors() -> [RawFd; 4] {
    [-1, RawFd::MIN, RawFd::MAX, closed_number()]
}

/// Whether the selector holds `fd`: only then can it be set.
fn holds(selector: &mut dyn Selector, fd: RawFd) -> bool {
    match selector.set(fd, Interest::NONE) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            false
        }
    }
}

#[test]
fn each_backend_has_the_triggers_that_its_system_call_has() {
    use Trigger::{Edge, Level, OneShot};
    let expected: &[(&str, &[Trigger])] = &[
        ("select", &[Level, OneShot]),
        ("poll", &[Level, OneShot]),
        ("epoll", &[Level, Edge, OneShot]),
        ("mio", &[Edge]),
    ];
    for &backend in Backend::ALL {
        let has = (backend.name(), backend.selector().unwrap().caps().triggers);
        assert!(expected.contains(&has), "{has:?} has no row, or another one");
    }
}

#[test]
fn a_name_is_parsed_to_what_it_names_and_an_unknown_one_is_told_the_others() {
    let names: Vec<_> = Backend::ALL.iter().map(|backend| backend.name()).collect();
    assert_eq!(names, ["select", "poll", "epoll", "mio"]);
    let triggers: Vec<_> = Trigger::ALL.iter().map(|trigger| trigger.name()).collect();
    assert_eq!(triggers, ["level", "edge", "oneshot"]);
    Backend::ALL.iter().for_each(|backend| assert_eq!(backend.name().parse(), Ok(*backend)));
    Trigger::ALL.iter().for_each(|trigger| assert_eq!(trigger.name().parse(), Ok(*trigger)));

    let error = "kqueue".parse::<Backend>().unwrap_err();
    let known = "unknown backend \"kqueue\"; known are: select, poll, epoll, mio, auto";
    assert_eq!(error.to_string(), known);
    let error = "Edge".parse::<Trigger>().unwrap_err();
    assert_eq!(error.to_string(), "unknown trigger \"Edge\"; known are: level, edge, oneshot");
}

#[test]
fn a_token_is_an_index_and_a_generation() {
    for (index, generation) in [(0, 0), (1, 2), (u32::MAX, 0), (0, u32::MAX)] {
        let token = Token::new(index, generation);
        assert_eq!((token.index(), token.generation()), (index, generation));
        assert_eq!(u64::from(token), u64::from(generation) << 32 | u64::from(index));
    }
}

#[test]
fn a_trigger_is_accepted_exactly_if_caps_name_it() {
    for &backend in Backend::ALL {
        let _context = Context(format!("on {backend}"));
        let (mine, _theirs) = unix_pair();
        let fd = mine.as_raw_fd();
        for &trigger in Trigger::ALL {
            let mut selector = backend.selector().unwrap();
            let has = selector.caps().triggers;
            let answer = selector.add(fd, ONE, Interest::READ, trigger);
            if has.contains(&trigger) {
                answer.unwrap();
                assert!(holds(&mut *selector, fd));
            } else {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                let message = error.to_string();
                for word in [backend.name(), &trigger.to_string()] {
                    assert!(message.contains(word), "{word} is not in {message:?}");
                }
                for has in has {
                    assert!(message.contains(&has.to_string()), "{has} is not in {message:?}");
                }
                assert!(!holds(&mut *selector, fd));
            }
        }
    }
}

#[test]
fn adding_twice_is_already_exists_and_the_first_stays_alive() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        let fd = mine.as_raw_fd();
        selector.add(fd, ONE, Interest::READ, trigger).unwrap();
        let error = selector.add(fd, OTHER, Interest::WRITE, trigger).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(error.to_string().contains(&fd.to_string()), "{error}");

        assert_eq!(reported_now(selector), [], "neither the second interest");
        theirs.write_all(b"x").unwrap();
        assert_eq!(reported_now(selector), [(ONE, Readiness::READ)], "nor the second token");
        selector.remove(fd).unwrap();
        assert!(!holds(selector, fd));
    });
}

#[test]
fn what_was_never_added_or_is_removed_is_not_found() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let (mine, mut theirs) = unix_pair();
        let fd = mine.as_raw_fd();
        let refuses = |selector: &mut dyn Selector, fd| {
            for answer in [selector.set(fd, Interest::READ), selector.remove(fd)] {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound);
                assert!(error.to_string().contains(&fd.to_string()), "{error}");
            }
        };
        refuses(selector, fd);
        for number in not_descriptors() {
            refuses(selector, number);
        }

        selector.add(fd, ONE, Interest::READ, trigger).unwrap();
        selector.remove(fd).unwrap();
        theirs.write_all(b"x").unwrap();
        refuses(selector, fd);
        assert_silent(selector);
        assert_eq!(selector.counters().repairs, 0, "the table knew it all without the kernel");
    });
}

#[test]
fn a_failed_add_leaves_nothing_behind() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        for interest in [Interest::NONE, Interest::READ, Interest::WRITE | Interest::PRIORITY] {
            for number in not_descriptors() {
                let error = selector.add(number, ONE, interest, trigger).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert!(error.to_string().contains(&number.to_string()), "{error}");
                assert!(!holds(selector, number));
            }
        }
        assert_silent(selector);

        // A number that was refused while it was closed is as good as any when it is open.
        let (mine, mut theirs) = unix_pair();
        let number = closed_number();
        selector.add(number, OTHER, Interest::READ, trigger).unwrap_err();
        let mine = with_number(&mine, number);
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(reported_now(selector), [(ONE, Readiness::READ)]);
    });
}

#[test]
fn a_name_without_an_open_file_behind_it_is_refused() {
    // O_PATH: fcntl knows such a descriptor, and select, poll and epoll do not.
    let path = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open("/")
        .map(OwnedFd::from)
        .unwrap();
    on_every_selector(Trigger::ALL, |selector, trigger| {
        let error = selector.add(path.as_raw_fd(), ONE, Interest::READ, trigger).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert_silent(selector);
    });
}

#[test]
fn a_token_comes_back_with_all_its_bits() {
    on_every_selector(Trigger::ALL, |selector, trigger| {
        for token in [Token::from(0), Token::from(u64::MAX), Token::new(u32::MAX, 1 << 31)] {
            let (mine, _theirs) = unix_pair();
            selector.add(mine.as_raw_fd(), token, Interest::WRITE, trigger).unwrap();
            assert_eq!(reported_now(selector), [(token, Readiness::WRITE)]);
            selector.remove(mine.as_raw_fd()).unwrap();
        }
    });
}

#[test]
fn changing_is_free_on_select_and_poll_and_one_call_on_epoll() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let (mine, _theirs) = unix_pair();
        let fd = mine.as_raw_fd();
        let step = u64::from(selector.caps().change_is_a_system_call);
        let mut controls = 0;
        let mut expect = |selector: &dyn Selector, calls: u64| {
            controls += calls * step;
            assert_eq!(selector.counters().controls, controls);
        };
        selector.add(fd, ONE, Interest::READ, trigger).unwrap();
        expect(selector, 1);
        selector.set(fd, Interest::READ | Interest::WRITE).unwrap();
        expect(selector, 1);
        selector.set(fd, Interest::NONE).unwrap();
        expect(selector, 1);
        selector.set(fd, Interest::NONE).unwrap();
        expect(selector, 0);
        selector.set(fd, Interest::WRITE).unwrap();
        expect(selector, 1);
        selector.remove(fd).unwrap();
        expect(selector, 1);
        assert_eq!(selector.counters().waits, 0);
        assert_eq!(selector.counters().repairs, 0);
    });
}

#[test]
fn a_selectors_own_descriptor_is_readable_when_a_wait_would_find_something() {
    on_every_backend(Trigger::ALL, |selector, trigger| {
        let kernel_has_a_list = selector.caps().change_is_a_system_call;
        let Some(own) = selector.own_fd().map(|fd| fd.as_raw_fd()) else {
            assert!(!kernel_has_a_list);
            return;
        };
        assert!(kernel_has_a_list);
        let now = Some(std::time::Duration::ZERO);
        let readable = || sys::select(&[own], &[], &[], now).unwrap().0 == [own];
        let (mine, mut theirs) = unix_pair();
        selector.add(mine.as_raw_fd(), ONE, Interest::READ, trigger).unwrap();
        assert!(!readable());
        theirs.write_all(b"x").unwrap();
        assert!(readable());
        assert_eq!(tokens_now(selector), [ONE]);
        assert_eq!(readable(), trigger == Trigger::Level, "reported again, or not");
    });
}

#[test]
fn a_wait_costs_what_the_manual_says() {
    for &backend in Backend::ALL {
        let caps = backend.selector().unwrap().caps();
        let is_cheap = !matches!(backend.name(), "select" | "poll");
        assert_eq!(caps.wait_cost == Cost::PerReady, is_cheap, "{backend}");
        assert_eq!(caps.change_is_a_system_call, is_cheap, "{backend}");
    }
}
