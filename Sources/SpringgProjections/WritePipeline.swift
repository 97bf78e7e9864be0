import SpringgLog

/// The one way a write takes: commands gather in a queue, the writer's thread sequences what has gathered, stages it,
/// commits it with one sync, applies it and answers.
///
/// While one batch syncs, the next gathers. Clients that wait for their answers would so fall into two groups that take
/// turns, each sync covering half of them; so the writer waits a moment for those it has just answered (`GatherWindow`). Submitters never
/// wait; the queue is bounded by what the server admits.
final class WritePipeline: @unchecked Sendable {
    // Why @unchecked: `queue` and `isClosing` are only touched while `doorbell` is locked; everything else is immutable
    // or belongs to the writer's thread.

    typealias Completion = @Sendable ([Result<Receipt, CommandError>]) -> Void

    private struct Submission {
        var commands: [Command]
        var completion: Completion
    }

    private let doorbell = Doorbell()
    private var queue: [Submission] = []
    private var isClosing = false
    private var hasEnded = false
    /// Who waits for the state of the moment between two batches.
    private var captureRequests: [(CheckpointCapture?) -> Void] = []
    /// The writer sleeps until so many submissions are there; nil while it is at work.
    private var wakesAt: Int?

    /// Takes commands in; `completion` is called once, on the writer's thread.
    func submit(_ commands: [Command], _ completion: @escaping Completion) {
        let (accepted, wake) = doorbell.withLock {
            if isClosing { return (false, false) }
            queue.append(Submission(commands: commands, completion: completion))
            return (true, wakesAt.map { queue.count >= $0 } ?? false)
        }
        if wake { doorbell.ring() }
        if !accepted { completion(commands.map { _ in .failure(.shuttingDown) }) }
    }

    /// The state as of the newest batch, for a checkpoint; nil when the log has failed or the writer has ended.
    ///
    /// Blocking.
    func capture() -> CheckpointCapture? {
        let answer = Answer()
        let isAsked = doorbell.withLock {
            if hasEnded { return false }
            captureRequests.append { answer.give($0) }
            return true
        }
        guard isAsked else { return nil }
        doorbell.ring()
        return answer.wait()
    }

    /// One value that one thread waits for and another gives.
    private final class Answer: @unchecked Sendable {
        // Why @unchecked: the fields are only touched while `doorbell` is locked.
        private let doorbell = Doorbell()
        private var value: CheckpointCapture?
        private var isGiven = false

        func give(_ value: CheckpointCapture?) {
            doorbell.withLock {
                self.value = value
                isGiven = true
            }
            doorbell.ring()
        }

        func wait() -> CheckpointCapture? {
            doorbell.withLock {
                while !isGiven { doorbell.wait(nanoseconds: nil) }
                return value
            }
        }
    }

    /// Takes no more commands; the thread ends once it has answered those it has.
    func close() {
        doorbell.withLock { isClosing = true }
        doorbell.ring()
    }

    /// The writer's thread.
    ///
    /// `pace` is called after each batch and may make the writer wait for those who follow it.
    func run(
        _ writer: LogWriter,
        _ sequencer: Sequencer,
        _ materializer: Materializer,
        pace: () -> Void,
        wallClock: () -> UInt64,
        writesFail: @escaping @Sendable (LogError) -> Void
    ) {
        var batch = Batch(
            writer: writer,
            sequencer: sequencer,
            materializer: materializer,
            writesFail: writesFail
        )
        var window = GatherWindow()
        /// When what is written but not synced has to be (durability `interval`); nil when nothing is.
        var syncDue: UInt64?
        while let submissions = take(before: syncDue, window) {
            if !submissions.isEmpty {
                let wall = wallClock()
                // What readers and graphs have let go of since the last batch makes room for this one.
                materializer.reclaim()
                for submission in submissions {
                    batch.add(submission.commands, submission.completion, wall: wall)
                }
                let begun = monotonicNanoseconds()
                batch.flush()
                window.committed(submissions.count, nanoseconds: monotonicNanoseconds() - begun)
                writer.prepareAhead()
                pace()
            }
            syncDue = syncIfDue(writer, syncDue)
            answerCaptures(writer, materializer)
        }
        let unanswered = doorbell.withLock {
            hasEnded = true
            return takeCaptureRequests()
        }
        for request in unanswered { request(nil) }
        writer.close()
    }

    /// Between two batches, and with everything synced: a checkpoint must never be ahead of the log.
    private func answerCaptures(_ writer: LogWriter, _ materializer: Materializer) {
        let requests = doorbell.withLock { takeCaptureRequests() }
        guard !requests.isEmpty else { return }
        var capture: CheckpointCapture?
        if (try? writer.sync()) != nil, writer.log.failure == nil {
            capture = materializer.capture(heads: writer.log.versionVector)
        }
        for request in requests { request(capture) }
    }

    /// With the doorbell locked.
    private func takeCaptureRequests() -> [(CheckpointCapture?) -> Void] {
        var taken: [(CheckpointCapture?) -> Void] = []
        swap(&taken, &captureRequests)
        return taken
    }

    /// Keeps the promise of durability `interval`, whether writes pause or not; returns when the next sync is due.
    private func syncIfDue(_ writer: LogWriter, _ due: UInt64?) -> UInt64? {
        guard writer.needsSync, case .interval(let milliseconds) = writer.log.options.durability else { return nil }
        let now = monotonicNanoseconds()
        guard let due else { return now + UInt64(max(0, milliseconds)) * 1_000_000 }
        guard now >= due else { return due }
        // A failure turns the log read-only, which the next write reports.
        try? writer.sync()
        return nil
    }

    /// Waits for submissions, or until `deadline`.
    ///
    /// Empty: the deadline has passed. Nil: closed and drained.
    private func take(before deadline: UInt64?, _ window: GatherWindow) -> [Submission]? {
        doorbell.withLock {
            let wanted = queue.count + window.lastBatch
            if queue.isEmpty, captureRequests.isEmpty {
                let now = monotonicNanoseconds()
                sleep(until: 1, nanoseconds: deadline.map { $0 > now ? $0 - now : 0 })
            }
            if !queue.isEmpty, queue.count < wanted { sleep(until: wanted, nanoseconds: window.nanoseconds) }
            if queue.isEmpty { return isClosing ? nil : [] }
            var taken: [Submission] = []
            swap(&taken, &queue)
            return taken
        }
    }

    /// With the doorbell locked.
    private func sleep(until submissions: Int, nanoseconds: UInt64?) {
        guard !isClosing else { return }
        wakesAt = submissions
        doorbell.wait(nanoseconds: nanoseconds)
        wakesAt = nil
    }
}

/// What has been staged and not yet answered.
private struct Batch {
    let writer: LogWriter
    var sequencer: Sequencer
    let materializer: Materializer

    /// Answers of one submission, complete once all its events are committed.
    private final class Ticket {
        var results: [Result<Receipt, CommandError>] = []
        let completion: WritePipeline.Completion
        init(_ completion: @escaping WritePipeline.Completion) { self.completion = completion }
    }

    private struct Staged {
        var event: EncodedEvent
        var receipt: Receipt
        var ticket: Ticket
        var place: Int
    }

    private let writesFail: (LogError) -> Void
    private var isFailing = false
    private var staged: [Staged] = []
    private var tickets: [Ticket] = []

    init(
        writer: LogWriter,
        sequencer: Sequencer,
        materializer: Materializer,
        writesFail: @escaping (LogError) -> Void
    ) {
        self.writer = writer
        self.sequencer = sequencer
        self.materializer = materializer
        self.writesFail = writesFail
    }

    mutating func add(_ commands: [Command], _ completion: @escaping WritePipeline.Completion, wall: UInt64) {
        let ticket = Ticket(completion)
        ticket.results.reserveCapacity(commands.count)
        for command in commands {
            ticket.results.append(.failure(.shuttingDown))
            let place = ticket.results.count - 1
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
                    staged.append(Staged(event: admission.event, receipt: receipt, ticket: ticket, place: place))
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

    /// Commits, shows and answers everything that was added.
    mutating func flush() {
        commit()
        for ticket in tickets { ticket.completion(ticket.results) }
        tickets.removeAll(keepingCapacity: true)
    }

    /// Says once that writes fail, however many of them do.
    private mutating func report(_ error: LogError) {
        if !isFailing { writesFail(error) }
        isFailing = true
    }

    private mutating func commit() {
        defer {
            staged.removeAll(keepingCapacity: true)
            sequencer.batchEnded()
        }
        do throws(LogError) {
            try writer.commit()
        } catch {
            report(error)
            for entry in staged { entry.ticket.results[entry.place] = .failure(CommandError(error)) }
            return
        }
        guard let last = staged.last else { return }
        isFailing = false
        for entry in staged {
            let envelope = entry.event.envelope
            // An event that this process has just encoded decodes.
            guard let event = envelope.event else { preconditionFailure("LSN \(entry.receipt.lsn) does not decode") }
            materializer.apply(event, of: envelope, recordBytes: entry.event.recordBytes, lsn: entry.receipt.lsn)
            entry.ticket.results[entry.place] = .success(entry.receipt)
        }
        materializer.publish()
        writer.log.markApplied(last.receipt.lsn)
    }
}
