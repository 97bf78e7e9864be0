import SpringgLog

/// The one way a write takes: commands gather in a queue, the writer's thread sequences what has gathered, stages it,
/// commits it with one sync, applies it and answers.
///
/// While one batch syncs, the next gathers. Clients that wait for their answers would so fall into two groups that take
/// turns, each sync covering half of them; so the writer waits a moment for those it has just answered (`GatherWindow`). Submitters never
/// wait; the queue is bounded by what the server admits.
final class WritePipeline: @unchecked Sendable {
    // Why @unchecked: what changes is only touched while `doorbell` is locked; everything else is immutable or belongs to the
    // writer's thread.

    private enum Submission {
        case commands([Command], WriteBatch.Completion)
        case events(EnvelopeBatch, WriteBatch.ReceiveCompletion)
        /// Begins to take commands, under a new origin or the one there is.
        case originate(OriginID?, after: HLC, @Sendable (LogError?) -> Void)

        var isCommands: Bool { if case .commands = self { true } else { false } }
    }

    private let doorbell = Doorbell()
    private var queue: [Submission] = []
    /// Submissions so far.
    private var submitted = 0
    private var isClosing = false
    private var hasEnded = false
    /// Why commands are not taken yet; nil when they are.
    private var hold: CommandError?
    /// Who waits for the state of the moment between two batches.
    private var captureRequests: [(CheckpointCapture?) -> Void] = []
    /// Below it tombstones are to go; nil when that is done.
    private var forgetsBelow: HLC?
    /// The writer sleeps until so many submissions are there; nil while it is at work.
    private var wakesAt: Int?

    /// Ids that are looked at between two batches: some milliseconds.
    private static let forgottenAtOnce = 10_000

    /// Refuses commands with `hold` until `originate` is called; those in the queue are still taken.
    func begin(holding hold: CommandError) { doorbell.withLock { self.hold = hold } }

    /// Takes commands in; `completion` is called once, on the writer's thread.
    func submit(_ commands: [Command], _ completion: @escaping WriteBatch.Completion) {
        if let refusal = enqueue(.commands(commands, completion), isHeld: { hold }) {
            completion(commands.map { _ in .failure(refusal) })
        }
    }

    /// Takes events from elsewhere in; `completion` is called once, on the writer's thread.
    func receive(_ events: EnvelopeBatch, _ completion: @escaping WriteBatch.ReceiveCompletion) {
        guard let refusal = enqueue(.events(events, completion), isHeld: { nil }) else { return }
        var outcome = ReceiveOutcome()
        outcome.failure = refusal
        completion(outcome)
    }

    /// Takes commands from now on: under `origin`, which is freshly minted, or the log's own for nil, and later than
    /// `reading`.
    func originate(
        under origin: OriginID?,
        after reading: HLC,
        _ completion: @escaping @Sendable (LogError?) -> Void
    ) {
        if enqueue(.originate(origin, after: reading, completion), isHeld: { nil }) != nil { completion(.closed) }
    }

    /// Lets go of tombstones below `cut`, soon and in small steps.
    func forgetDeleted(below cut: HLC) {
        doorbell.withLock { forgetsBelow = cut }
        doorbell.ring()
    }

    /// Returns why it was not taken in.
    private func enqueue(_ submission: Submission, isHeld: () -> CommandError?) -> CommandError? {
        let (refusal, wake): (CommandError?, Bool) = doorbell.withLock {
            if isClosing { return (.shuttingDown, false) }
            if let hold = isHeld() { return (hold, false) }
            queue.append(submission)
            submitted += 1
            return (nil, wakesAt.map { queue.count >= $0 } ?? false)
        }
        if wake { doorbell.ring() }
        return refusal
    }

    /// The state as of the newest batch, for a checkpoint; nil when the log has failed or the writer has ended.
    ///
    /// Blocking.
    func capture() -> CheckpointCapture? {
        let answer = Answered<CheckpointCapture?>()
        let isAsked = doorbell.withLock {
            if hasEnded { return false }
            captureRequests.append { answer.give($0) }
            return true
        }
        guard isAsked else { return nil }
        doorbell.ring()
        return answer.wait()
    }

    /// Takes no more commands; the thread ends once it has answered those it has.
    func close() {
        doorbell.withLock { isClosing = true }
        doorbell.ring()
    }

    /// The writer's thread.
    ///
    /// `pace` says, between two batches, what has to wait for those who follow the writer.
    func run(
        _ batch: consuming WriteBatch,
        _ writer: LogWriter,
        _ materializer: Materializer,
        pace: () -> Pace.Verdict,
        wallClock: () -> UInt64
    ) {
        var batch = batch
        var window = GatherWindow()
        /// When what is written but not synced has to be (durability `interval`); nil when nothing is.
        var syncDue: UInt64?
        while let submissions = take(before: syncDue, &window, pace()) {
            if !submissions.isEmpty {
                let wall = wallClock()
                // What readers and graphs have let go of since the last batch makes room for this one.
                materializer.reclaim()
                var answered = 0
                for submission in submissions {
                    switch submission {
                    case .commands(let commands, let completion):
                        batch.add(commands, wall: wall, completion)
                        answered += 1
                    case .events(let events, let completion):
                        batch.receive(events, restoringOwn: isHolding, completion)
                    case .originate(let origin, let reading, let completion):
                        batch.observe(reading)
                        completion(originate(under: origin, &batch))
                    }
                }
                let begun = monotonicNanoseconds()
                batch.commit()
                window.committed(submissions: doorbell.withLock { submitted }, now: monotonicNanoseconds())
                batch.answer()
                window.answered(answered, nanoseconds: monotonicNanoseconds() - begun)
                writer.prepareAhead()
            }
            syncDue = syncIfDue(writer, syncDue)
            answerCaptures(writer, materializer)
            if let cut = doorbell.withLock({ forgetsBelow }),
                !batch.forgetDeleted(below: cut, limit: WritePipeline.forgottenAtOnce)
            {
                doorbell.withLock { if forgetsBelow == cut { forgetsBelow = nil } }
            }
        }
        let unanswered = doorbell.withLock {
            hasEnded = true
            return takeCaptureRequests()
        }
        for request in unanswered { request(nil) }
        writer.close()
    }

    private var isHolding: Bool { doorbell.withLock { hold != nil } }

    private func originate(under origin: OriginID?, _ batch: inout WriteBatch) -> LogError? {
        if let origin {
            do throws(LogError) { try batch.begin(origin) } catch { return error }
        }
        doorbell.withLock { hold = nil }
        return nil
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

    /// Waits for submissions, or until `deadline`, or until `pace` has to be asked again.
    ///
    /// Empty: there is nothing to be done yet. Nil: closed and drained.
    private func take(before deadline: UInt64?, _ window: inout GatherWindow, _ pace: Pace.Verdict) -> [Submission]? {
        doorbell.withLock {
            if !isClosing {
                switch pace {
                case .go: break
                case .commandsWait: return takePastCommands()
                case .allWait: return rest()
                }
            }
            let wanted = queue.count + window.lastBatch
            if queue.isEmpty, captureRequests.isEmpty, forgetsBelow == nil {
                let now = monotonicNanoseconds()
                sleep(until: 1, nanoseconds: deadline.map { $0 > now ? $0 - now : 0 })
            }
            if !queue.isEmpty, queue.count < wanted, window.nanoseconds > 0 {
                sleep(until: wanted, nanoseconds: window.nanoseconds)
            }
            if queue.isEmpty { return isClosing ? nil : [] }
            window.took(submissions: submitted, now: monotonicNanoseconds())
            var taken: [Submission] = []
            swap(&taken, &queue)
            return taken
        }
    }

    /// With the doorbell locked: what is no command, while commands stay where they are.
    private func takePastCommands() -> [Submission] {
        let others = queue.filter { !$0.isCommands }
        guard !others.isEmpty else { return rest() }
        queue.removeAll { !$0.isCommands }
        return others
    }

    /// With the doorbell locked: lets those get on for whom the writer waits.
    private func rest() -> [Submission] {
        if captureRequests.isEmpty { sleep(until: queue.count + 1, nanoseconds: Pace.stepNanoseconds) }
        return []
    }

    /// With the doorbell locked.
    private func sleep(until submissions: Int, nanoseconds: UInt64?) {
        guard !isClosing else { return }
        wakesAt = submissions
        doorbell.wait(nanoseconds: nanoseconds)
        wakesAt = nil
    }
}
