import NIOCore

/// Bodies that are worked off while they arrive.
extension HTTPConnection {
    /// Takes a piece of a body that is worked off while it arrives.
    func stream(_ part: ByteBuffer) {
        do throws(RequestError) {
            let made = try Stage.work.measured { () throws(RequestError) in
                try request?.stream?.append(part, worker.scratch)
            }
            if made ?? false {
                phaseDeadline = NIODeadline.now().after(worker.timeouts.read)
            }
            pump()
        } catch {
            refuseRest(error)
        }
    }

    /// Hands on what can be handed on, and answers once there is nothing left to wait for.
    func pump() {
        let isLast = phase == .processing
        while let commands = request?.stream?.nextBatch(isLast: isLast) {
            worker.submit(commands, as: .stream, ticket)
            phaseDeadline = NIODeadline.now().after(
                isLast ? worker.timeouts.request : worker.timeouts.read
            )
        }
        guard let stream = request?.stream else {
            return
        }
        if let failure = stream.failure {
            refuseRest(failure)
        } else if isLast, stream.isSettled {
            finish(stream.answer())
        }
    }

    /// Says how far the stream got and why no further.
    func refuseRest(_ error: RequestError) {
        if phase != .processing {
            answerContext.keepAlive = false
        }
        finish(request?.stream?.answer(error) ?? .failure(error))
    }
}
