package import SpringgLog

/// What has been staged and not yet answered: commands of clients and events from elsewhere, which share a commit.
///
/// The work of the writer's thread, without the thread: what is added is decided and staged at once; `flush` commits,
/// applies and answers.
package struct WriteBatch {
    package typealias Completion = @Sendable ([Result<Receipt, CommandError>]) -> Void
    package typealias ReceiveCompletion = @Sendable (ReceiveOutcome) -> Void

    private let writer: LogWriter
    private var sequencer: Sequencer
    private let materializer: Materializer
    private let writesFail: (LogError) -> Void
    private var isFailing = false
    private var staged: [Staged] = []
    private var tickets: [Ticket] = []

    /// Answers of one submission, complete once all its events are committed.
    private final class Ticket {
        enum Completion {
            case commands(WriteBatch.Completion)
            case events(ReceiveCompletion)
        }
        let completion: Completion
        /// Of commands, one each.
        var results: [Result<Receipt, CommandError>]
        /// Of events.
        var outcome = ReceiveOutcome()

        init(_ completion: Completion, commands: Int = 0) {
            self.completion = completion
            results = Array(repeating: .failure(.shuttingDown), count: commands)
        }
    }

    private struct Staged {
        enum Source {
            case own(EncodedEvent, Receipt, place: Int)
            case elsewhere(EnvelopeBatch, number: Int)
        }
        var source: Source
        var lsn: LSN
        var ticket: Ticket
    }

    package init(
        writer: LogWriter,
        materializer: Materializer,
        limits: WriteLimits,
        highestHLC: HLC,
        writesFail: @escaping (LogError) -> Void
    ) {
        self.writer = writer
        self.materializer = materializer
        self.writesFail = writesFail
        sequencer = Sequencer(origin: writer.log.origin, limits: limits, highestHLC: highestHLC)
    }

    /// Decides commands; `completion` is called by `flush`.
    package mutating func add(_ commands: [Command], wall: UInt64, _ completion: @escaping Completion) {
        let ticket = Ticket(.commands(completion), commands: commands.count)
        for (place, command) in commands.enumerated() {
            // Before the decision: once admitted, a command belongs to the batch, and the sequencer must not forget it.
            if !writer.hasRoom(forRecordBytes: command.recordBytesMax) { commit() }
            switch sequencer.admit(command, over: materializer, wall: wall) {
            case .failure(let error):
                ticket.results[place] = .failure(error)
            case .success(let admission):
                do throws(LogError) {
                    let (lsn, sequence) = try writer.stage(
                        admission.event,
                        hlc: admission.version.hlc,
                        seen: admission.seen
                    )
                    let receipt = Receipt(
                        origin: admission.version.origin,
                        sequence: sequence,
                        hlc: admission.version.hlc,
                        lsn: lsn
                    )
                    let source = Staged.Source.own(admission.event, receipt, place: place)
                    staged.append(Staged(source: source, lsn: lsn, ticket: ticket))
                } catch {
                    // The sequencer counts this command as done; commit what is staged, so that it forgets the batch.
                    commit()
                    report(error)
                    ticket.results[place] = .failure(CommandError(error))
                }
            }
        }
        tickets.append(ticket)
    }

    /// Takes events that were written elsewhere, as far as each is the next of its origin; `completion` is called by `flush`.
    ///
    /// A command that is decided behind them in the same commit does not see them yet: it is as if they had come a moment
    /// later, which is nothing that the convergence rule does not expect. `restoringOwn` admits events of this node's own
    /// origin that its disk has lost.
    package mutating func receive(
        _ events: EnvelopeBatch,
        restoringOwn: Bool = false,
        _ completion: @escaping ReceiveCompletion
    ) {
        let ticket = Ticket(.events(completion))
        tickets.append(ticket)
        for number in 0..<events.count {
            let envelope = events[number]
            let head = writer.head(of: envelope.origin)
            let isOwn = envelope.origin == writer.log.origin && !restoringOwn
            let dropped = materializer.dropped
            if let reason = EventRefusal.reason(envelope, behind: head, above: dropped, isOwn: isOwn) {
                if reason == .belowHorizon { materializer.countRefused() }
                ticket.outcome.refuse(envelope, behind: head, reason)
                continue
            }
            guard envelope.sequence > head.sequence else {
                ticket.outcome.held += 1
                continue
            }
            if !writer.hasRoom(forRecordBytes: Frame.headerBytes + envelope.bytes.count) { commit() }
            do throws(LogError) {
                let lsn = try writer.stage(envelope)
                sequencer.observe(envelope.version.hlc)
                staged.append(Staged(source: .elsewhere(events, number: number), lsn: lsn, ticket: ticket))
            } catch {
                commit()
                report(error)
                ticket.outcome.failure = CommandError(error)
                return
            }
        }
    }

    /// Lets go of tombstones below `cut`; see `Materializer.forgetDeleted`.
    package mutating func forgetDeleted(below cut: HLC, limit: Int = .max) -> Bool {
        commit()
        return materializer.forgetDeleted(below: cut, limit: limit)
    }

    /// What this node writes from here on is later than `reading`.
    package mutating func observe(_ reading: HLC) { sequencer.observe(reading) }

    /// Writes under a new origin from here on: the old one's numbers may have been given twice.
    package mutating func begin(_ origin: OriginID) throws(LogError) {
        commit()
        try writer.begin(origin)
        sequencer.begin(origin)
    }

    /// Commits, shows and answers everything that was added.
    package mutating func flush() {
        commit()
        answer()
    }

    /// Answers everything that was added and, with `commit`, decided.
    package mutating func answer() {
        for ticket in tickets {
            switch ticket.completion {
            case .commands(let completion):
                completion(ticket.results)
            case .events(let completion):
                // Whoever ships events may forget them once we say that we have them: also with durability `interval`.
                do throws(LogError) {
                    try writer.sync()
                } catch {
                    ticket.outcome.failure = CommandError(error)
                }
                ticket.outcome.vector = writer.log.versionVector
                completion(ticket.outcome)
            }
        }
        tickets.removeAll(keepingCapacity: true)
    }

    /// Says once that writes fail, however many of them do.
    private mutating func report(_ error: LogError) {
        if !isFailing { writesFail(error) }
        isFailing = true
    }

    /// Commits and shows everything that was added; `answer` says so to those who wait.
    package mutating func commit() {
        defer {
            staged.removeAll(keepingCapacity: true)
            sequencer.batchEnded()
        }
        do throws(LogError) {
            try writer.commit()
        } catch {
            report(error)
            for entry in staged {
                switch entry.source {
                case .own(_, _, let place): entry.ticket.results[place] = .failure(CommandError(error))
                case .elsewhere: entry.ticket.outcome.failure = CommandError(error)
                }
            }
            return
        }
        guard let last = staged.last else { return }
        isFailing = false
        for entry in staged {
            switch entry.source {
            case .own(let event, let receipt, let place):
                apply(event.envelope, at: entry.lsn)
                entry.ticket.results[place] = .success(receipt)
            case .elsewhere(let events, let number):
                apply(events[number], at: entry.lsn)
                entry.ticket.outcome.appended += 1
            }
        }
        materializer.publish()
        writer.log.markApplied(last.lsn)
    }

    private func apply(_ envelope: Envelope, at lsn: LSN) {
        // An event that this process has encoded, or has decoded before, decodes.
        guard let event = envelope.event else { preconditionFailure("LSN \(lsn) does not decode") }
        materializer.apply(event, of: envelope, recordBytes: Frame.headerBytes + envelope.bytes.count, lsn: lsn)
    }
}
