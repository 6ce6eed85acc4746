//! Connections of the server's own making: links like all others, whose server's end is the one that connects.
//!
//! ```text
//!   connect ──► connecting ──(the answer, some time later)──► stands: announced writable, and in the peer's backlog
//!                                                      └────► failed: announced with everything, and an error to take
//! ```
//!
//! What Linux does beside what stands in the folder's header:
//!
//! - Nothing is announced of a socket that still connects (`tcp_poll` leaves `TCP_SYN_SENT` out), and neither reading nor
//!   writing gets anywhere (`EAGAIN`).
//! - A failed attempt is told once, to whoever asks first: `connected` (`SO_ERROR`), a read or a write. Then a read
//!   finds the end, a write a broken pipe, and `connected` no peer, which is the same as before the answer.
//! - Giving the attempt up tells nobody; shutting the sending side gives it up too (`inet_shutdown` disconnects).

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use super::{End, Link, Network, News, State};
use crate::base::{Key, Slots};
use crate::os::OUTBOUND;
use crate::os::sim::random::Random;
use crate::os::sim::trace::{Line, Side};

/// What only connections to others need.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) streams: Slots<Line>,
    next_line: u32,
    /// Which actor listens where.
    listening: BTreeMap<SocketAddr, usize>,
    /// Connections that stand and that the actor at the address has not taken yet.
    backlogs: BTreeMap<SocketAddr, VecDeque<Line>>,
    /// Its own, so that worlds in which nobody connects to others are what they were without all this.
    random: Random,
}

impl Outbound {
    pub(super) fn new(sockets_max: usize, random: Random) -> Outbound {
        let (listening, backlogs) = (BTreeMap::new(), BTreeMap::new());
        Outbound { streams: Slots::new(OUTBOUND, sockets_max), next_line: 0, listening, backlogs, random }
    }
}

/// What has become of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::os::sim) enum Reached {
    /// The connection stands.
    Stands,
    /// It has failed.
    Failed(ErrorKind),
    /// The listener's backlog is full: the packet is dropped.
    Full,
    /// Whoever had begun it has given it up.
    GaveUp,
}

impl Network {
    // --- The server's calls ---------------------------------------------------------------------------------------

    /// Begins to connect; `None` if there is no descriptor, or no room in the table of such sockets.
    pub fn dial(&mut self, address: SocketAddr) -> Option<(Key, Line)> {
        self.counters.connects += 1;
        if self.sockets() >= self.wires.descriptors {
            return None;
        }
        let line = Line::outbound(self.outbound.next_line);
        let key = self.outbound.streams.insert(line).ok()?;
        self.outbound.next_line += 1;
        self.counters.registrations += 1;
        let room = self.room();
        let random = &mut self.outbound.random;
        let (client, server) = (End::new(&room, random), End::new(&room, random));
        let (state, key) = (State::Connecting, Some(key));
        let reset_on_close = false;
        let link = Link { client, server, state, owner: None, key, target: Some(address), reset_on_close };
        self.links.insert(line, link);
        key.map(|key| (key, line))
    }

    /// What has become of an attempt, for the server.
    pub fn connected(&mut self, line: Line) -> io::Result<()> {
        let Some(link) = self.links.get_mut(&line) else { return Err(ErrorKind::NotConnected.into()) };
        if let Some(error) = link.server.error.take() {
            return Err(error.into());
        }
        // Without a peer it looks as if there were none yet (`ENOTCONN` of getpeername(2)).
        let has_peer = link.state != State::Connecting && !link.server.dead;
        if has_peer { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    // --- The peers' calls -----------------------------------------------------------------------------------------

    /// From here on `actor` takes what connects to `address`.
    pub fn listen_outside(&mut self, address: SocketAddr, actor: usize) {
        self.outbound.listening.insert(address, actor);
    }

    /// From here on whoever connects to `address` is refused. Answers who had connected and was not taken.
    pub fn leave(&mut self, address: SocketAddr) -> Vec<Line> {
        self.outbound.listening.remove(&address);
        self.outbound.backlogs.remove(&address).map_or_else(Vec::new, Vec::from)
    }

    /// The next connection that was made to `actor`, and to which address.
    pub fn take_connection(&mut self, actor: usize) -> Option<(Line, SocketAddr)> {
        let own = self.outbound.listening.iter().filter(|(_, owner)| **owner == actor);
        for (address, _) in own {
            if let Some(line) = self.outbound.backlogs.get_mut(address).and_then(VecDeque::pop_front) {
                return Some((line, *address));
            }
        }
        None
    }

    // --- What the network does ------------------------------------------------------------------------------------

    /// The answer to an attempt arrives: `failure`, or what the address itself has to say.
    pub fn reach(&mut self, line: Line, failure: Option<ErrorKind>) -> Reached {
        let Some(link) = self.links.get_mut(&line).filter(|link| !link.server.closed && !link.server.dead)
        else {
            return Reached::GaveUp;
        };
        let address = link.target.filter(|_| failure.is_none());
        let listener = address.and_then(|address| Some((address, *self.outbound.listening.get(&address)?)));
        let Some((address, actor)) = listener else {
            let why = failure.unwrap_or(ErrorKind::ConnectionRefused);
            link.server.die(Some(why));
            self.tell(line, Side::Server);
            return Reached::Failed(why);
        };
        let backlog = self.outbound.backlogs.entry(address).or_default();
        if backlog.len() >= self.wires.backlog {
            return Reached::Full;
        }
        backlog.push_back(line);
        (link.state, link.owner) = (State::Open, Some(actor));
        self.news.push_back(News { line, side: Side::Client });
        self.tell(line, Side::Server);
        Reached::Stands
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::{IpAddr, Ipv4Addr};
    use std::rc::Rc;
    use std::time::Duration;

    use crate::base::{Kind, Time};
    use crate::limits::Limits;
    use crate::os::faults::{Fault, Weather};
    use crate::os::sim::{Actor, Outside, Plan, Received, Wires, World};
    use crate::os::{Completion, Lookup, Net, Ready, Woken};

    use super::*;

    /// Somebody who does what a test says whenever he is called.
    struct Peer<F>(F);

    impl<F: FnMut(&mut Outside<'_>)> Actor for Peer<F> {
        fn act(&mut self, outside: &mut Outside<'_>) -> Option<Duration> {
            (self.0)(outside);
            None
        }

        fn is_done(&self) -> bool {
            true
        }

        fn complaint(&self) -> Option<&str> {
            None
        }

        fn describe(&self) -> String {
            "a peer".to_owned()
        }
    }

    fn address() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 8080))
    }

    fn world(weather: &[(Fault, u16)], peer: impl FnMut(&mut Outside<'_>) + 'static) -> World {
        let plan = Plan {
            seed: 5,
            weather: Weather { per_mille: weather.to_vec(), ..Weather::default() },
            wires: Wires { is_even: true, ..Wires::default() },
            calm_after: 100 * MINUTES,
            ends_after: 200 * MINUTES,
            ..Plan::default()
        };
        let world = World::new(&plan, &Limits::default(), vec![Box::new(Peer(peer))]);
        world.boot();
        world
    }

    /// A peer who sends back what he receives, and hangs up when that ends.
    fn echo(outside: &mut Outside<'_>, line: &mut Option<Line>) {
        outside.listen(address());
        if let Some((taken, at)) = outside.accept() {
            assert_eq!(at, address());
            *line = Some(taken);
        }
        let Some(line) = *line else { return };
        let mut bytes = Vec::new();
        while outside.receive(line, usize::MAX, &mut bytes) == Received::Bytes {}
        assert_eq!(outside.send(line, &bytes), bytes.len());
        if outside.receive(line, usize::MAX, &mut bytes) == Received::End {
            outside.close(line);
        }
    }

    fn world_with_echo() -> World {
        let mut line = None;
        let world = world(&[], move |outside| echo(outside, &mut line));
        wait(&world, Duration::from_millis(1));
        world
    }

    fn wait(world: &World, time: Duration) -> Vec<Ready> {
        let mut woken = Woken::default();
        world.handles().os().waiter.wait(Some(time), &mut woken).expect("nothing interrupts");
        woken.ready
    }

    fn with_net<T>(world: &World, call: impl FnOnce(&mut dyn Net) -> T) -> T {
        call(world.handles().os().net)
    }

    fn dial(world: &World) -> Key {
        with_net(world, |net| net.connect(address())).expect("there are descriptors")
    }

    fn kind<T>(result: io::Result<T>) -> ErrorKind {
        result.err().expect("it fails").kind()
    }

    const MINUTES: Duration = Duration::from_secs(300);

    #[test]
    fn a_connection_that_stands_is_announced_writable_once_and_carries_bytes_both_ways() {
        let world = world_with_echo();
        let key = dial(&world);
        assert_eq!(key.kind(), OUTBOUND);
        assert_eq!((world.sockets(), world.outbound_sockets()), (1, 1));
        let writable = Ready { writable: true, ..Ready::quiet(key) };
        assert_eq!(wait(&world, MINUTES), [writable]);
        with_net(&world, |net| {
            net.connected(key).expect("it stands");
            net.connected(key).expect("and still does");
            assert_eq!(net.write(key, b"hello").expect("there is room"), 5);
        });
        assert_eq!(wait(&world, MINUTES), [Ready { readable: true, ..writable }]);
        let mut space = [0; 16];
        with_net(&world, |net| {
            assert_eq!(net.read(key, &mut space).expect("it was announced"), 5);
            assert_eq!(kind(net.read(key, &mut space)), ErrorKind::WouldBlock);
            net.shutdown_write(key);
        });
        assert_eq!(&space[..5], b"hello");
        // Shutting announces whatever is so, and then the peer's end is news.
        assert_eq!(wait(&world, MINUTES), [writable]);
        let over = Ready { readable: true, read_closed: true, ..writable };
        assert_eq!(wait(&world, MINUTES), [over]);
        with_net(&world, |net| {
            assert_eq!(net.read(key, &mut space).expect("the end"), 0);
            net.close(key);
            assert_eq!(kind(net.read(key, &mut space)), ErrorKind::NotConnected);
            assert_eq!(kind(net.connected(key)), ErrorKind::NotConnected);
        });
        assert_eq!(world.sockets(), 0);
        assert_eq!(wait(&world, MINUTES), []);
    }

    #[test]
    fn before_it_stands_nothing_goes_in_or_out_and_nothing_is_announced() {
        let world = world_with_echo();
        let key = dial(&world);
        with_net(&world, |net| {
            assert_eq!(kind(net.connected(key)), ErrorKind::WouldBlock);
            assert_eq!(kind(net.write(key, b"early")), ErrorKind::WouldBlock);
            assert_eq!(kind(net.read(key, &mut [0; 8])), ErrorKind::WouldBlock);
        });
        assert_eq!(wait(&world, Duration::ZERO), []);
        assert_eq!(wait(&world, MINUTES).len(), 1);
    }

    #[test]
    fn where_nobody_listens_the_attempt_fails_and_says_so_once() {
        for first in ["connected", "read", "write"] {
            let world = world(&[], |_| {});
            let key = dial(&world);
            let failed = Ready {
                readable: true,
                writable: true,
                read_closed: true,
                broken: true,
                ..Ready::quiet(key)
            };
            assert_eq!(wait(&world, MINUTES), [failed]);
            with_net(&world, |net| {
                let told = match first {
                    "connected" => kind(net.connected(key)),
                    "read" => kind(net.read(key, &mut [0; 8])),
                    _ => kind(net.write(key, b"late")),
                };
                assert_eq!(told, ErrorKind::ConnectionRefused);
                assert_eq!(kind(net.connected(key)), ErrorKind::WouldBlock, "there is no peer");
                assert_eq!(net.read(key, &mut [0; 8]).expect("the end"), 0);
                assert_eq!(kind(net.write(key, b"late")), ErrorKind::BrokenPipe);
                net.close(key);
            });
            assert_eq!((world.sockets(), wait(&world, MINUTES)), (0, vec![]));
        }
    }

    #[test]
    fn an_attempt_that_is_given_up_reaches_nobody() {
        let accepted = Rc::new(RefCell::new(0));
        let count = accepted.clone();
        let world = world(&[], move |outside| {
            outside.listen(address());
            *count.borrow_mut() += outside.accept().iter().count();
        });
        wait(&world, Duration::from_millis(1));
        let key = dial(&world);
        with_net(&world, |net| net.close(key));
        let key = dial(&world);
        with_net(&world, |net| net.shutdown_write(key));
        let hung_up = Ready { readable: true, writable: true, read_closed: true, ..Ready::quiet(key) };
        assert_eq!(wait(&world, MINUTES), [hung_up]);
        assert_eq!(wait(&world, MINUTES), []);
        with_net(&world, |net| net.close(key));
        assert_eq!((*accepted.borrow(), world.sockets()), (0, 0));
        let _ = dial(&world);
        wait(&world, MINUTES);
        assert_eq!(*accepted.borrow(), 1);
    }

    #[test]
    fn a_peers_reset_is_told_as_of_any_other_socket() {
        let world = world(&[], |outside| {
            outside.listen(address());
            if let Some((line, _)) = outside.accept() {
                outside.send(line, b"almost");
                outside.reset(line);
            }
        });
        wait(&world, Duration::from_millis(1));
        let key = dial(&world);
        let mut last = Ready::quiet(key);
        while let [ready] = wait(&world, MINUTES)[..] {
            last = ready;
        }
        assert!(last.broken && last.read_closed, "{last:?}");
        with_net(&world, |net| {
            assert_eq!(kind(net.write(key, b"question")), ErrorKind::ConnectionReset);
            assert_eq!(kind(net.connected(key)), ErrorKind::WouldBlock, "there is no peer any more");
            net.close(key);
        });
        assert_eq!(world.sockets(), 0);
    }

    #[test]
    fn the_process_takes_its_connections_along_and_the_peer_hears_of_it() {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (told, mut line) = (heard.clone(), None);
        let world = world(&[], move |outside| {
            outside.listen(address());
            line = line.or(outside.accept().map(|(line, _)| line));
            if let Some(line) = line {
                told.borrow_mut().push(outside.receive(line, usize::MAX, &mut Vec::new()));
            }
        });
        wait(&world, Duration::from_millis(1));
        dial(&world);
        assert_eq!(wait(&world, MINUTES).len(), 1);
        dial(&world);
        world.end_process();
        assert_eq!(world.sockets(), 0);
        world.pass(MINUTES);
        assert_eq!(heard.borrow().last(), Some(&Received::End));
        // The second one never came to stand.
        assert_eq!(world.outbound_sockets(), 0);
    }

    #[test]
    fn accepted_connections_and_own_ones_share_the_descriptors() {
        let mut plan = Plan { ends_after: MINUTES, ..Plan::default() };
        plan.wires.descriptors = 2;
        let client = Peer(|outside: &mut Outside<'_>| {
            outside.connect();
        });
        let world = World::new(&plan, &Limits::default(), vec![Box::new(client)]);
        world.boot();
        let listener = with_net(&world, |net| net.listen(address())).expect("nobody else listens").0;
        wait(&world, MINUTES);
        let key = dial(&world);
        with_net(&world, |net| {
            net.accept(listener).expect("somebody waits, and there is a descriptor");
            assert_eq!(kind(net.connect(address())), ErrorKind::Other);
            net.close(key);
            net.connect(address()).expect("one has become free");
        });
    }

    #[test]
    fn each_way_in_which_an_attempt_goes_wrong_is_told_or_lasts() {
        // Certain to strike; what exactly is drawn.
        for (fault, at_least, at_most) in [
            (Fault::ConnectRefused, 0, 1),
            (Fault::ConnectLate, 0, 6),
            // Until the system gives up, or for as long as packets are lost.
            (Fault::ConnectHangs, 1, 128),
        ] {
            let mut line = None;
            let world = world(&[(fault, 1000)], move |outside| echo(outside, &mut line));
            wait(&world, Duration::from_millis(1));
            let mut seen = Vec::new();
            for _ in 0..12 {
                let began = world.now();
                let key = match with_net(&world, |net| net.connect(address())) {
                    Ok(key) => key,
                    Err(error) => {
                        seen.push(format!("{:?} at once", error.kind()));
                        continue;
                    }
                };
                assert_eq!(wait(&world, MINUTES).len(), 1);
                let took = world.now().since(began).as_secs();
                assert!((at_least..at_most).contains(&took), "{fault:?}: {took} s");
                seen.push(match with_net(&world, |net| net.connected(key)) {
                    Ok(()) => "stands".to_owned(),
                    Err(error) => format!("{:?}", error.kind()),
                });
                with_net(&world, |net| net.close(key));
            }
            seen.sort();
            seen.dedup();
            let wanted: &[&str] = match fault {
                Fault::ConnectRefused => {
                    &["ConnectionRefused", "HostUnreachable", "NetworkUnreachable at once"]
                }
                Fault::ConnectHangs => &["TimedOut", "stands"],
                _ => &["stands"],
            };
            assert_eq!(seen, wanted, "{fault:?}");
        }
    }

    fn look_up(world: &World, asker: u32, host: &str) -> bool {
        let lookup = Lookup { asker: Key::new(Kind(9), asker, 0), host: host.to_owned(), port: 80 };
        world.handles().os().names.resolve(lookup).is_ok()
    }

    /// The next name's answer: who had asked, and the addresses in words, or those of the resolver.
    fn answer(world: &World) -> (usize, String) {
        let mut woken = Woken::default();
        world.handles().os().waiter.wait(Some(MINUTES), &mut woken).expect("nothing interrupts");
        let [Completion::Names(done)] = &woken.done[..] else { panic!("one name is answered: {woken:?}") };
        let found = match &done.found {
            Ok(addresses) => format!("{addresses:?}"),
            Err(words) => words.clone(),
        };
        (done.asker.index(), found)
    }

    #[test]
    fn names_are_answered_in_turn_with_what_is_known_by_then() {
        let world = world(&[], |_| {});
        let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        world.put_name("two.example", vec![address(1), address(2)]);
        world.put_name("none.example", vec![]);
        for (asker, host) in ["two.example", "none.example", "nobody.example", "10.0.0.9"].iter().enumerate()
        {
            assert!(look_up(&world, asker as u32, host));
        }
        assert_eq!(answer(&world), (0, "[10.0.0.1:80, 10.0.0.2:80]".to_owned()));
        assert_eq!(answer(&world), (1, "Name or service not known".to_owned()));
        assert_eq!(answer(&world), (2, "Name or service not known".to_owned()));
        assert_eq!(answer(&world), (3, "[10.0.0.9:80]".to_owned()));
    }

    #[test]
    fn the_names_helper_takes_so_many_and_forgets_them_with_the_process() {
        let world = world(&[], |_| {});
        let taken = (0..100).filter(|asker| look_up(&world, *asker, "10.0.0.9")).count();
        assert_eq!(taken, Limits::default().lookups_max);
        world.end_process();
        world.boot();
        assert!(look_up(&world, 7, "10.0.0.9"));
        assert_eq!(answer(&world).0, 7);
        assert_eq!(wait(&world, MINUTES), []);
    }

    #[test]
    fn a_names_helper_in_trouble_refuses_fails_or_takes_long() {
        let world_with = |fault| {
            let world = world(&[(fault, 1000)], |_| {});
            world.put_name("one.example", vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
            world
        };
        assert!(!look_up(&world_with(Fault::NoNamesHelper), 0, "one.example"));
        let world = world_with(Fault::NameFails);
        assert!(look_up(&world, 0, "one.example"));
        assert_eq!(answer(&world).1, "Temporary failure in name resolution");
        let world = world_with(Fault::NameSlow);
        let mut longest = Duration::ZERO;
        for asker in 0..20 {
            let began: Time = world.now();
            assert!(look_up(&world, asker, "one.example"));
            assert_eq!(answer(&world).1, "[127.0.0.1:80]");
            longest = longest.max(world.now().since(began));
        }
        assert!((10..31).contains(&longest.as_secs()), "{longest:?}");
    }
}
