extension HTTPTimeouts {
    /// For services on the same machine or link: they answer at once or are not there.
    static var nearby: HTTPTimeouts {
        var timeouts = HTTPTimeouts()
        timeouts.connectMilliseconds = 1_000
        timeouts.totalMilliseconds = 2_000
        return timeouts
    }
}

extension HTTPTransport {
    /// Asks a service of this machine or link, up to three times while the failure looks like one that passes.
    ///
    /// The answer may be a refusal (4xx). `what` begins the message of a failure.
    func sendNearby(_ request: HTTPRequest, _ what: String) throws(CredentialProblem) -> HTTPAnswer {
        var request = request
        request.usesProxy = false
        request.timeouts = .nearby
        request.answerBytesMax = 64 << 10
        var problem = ""
        for _ in 0..<3 {
            do throws(HTTPFailure) {
                let answer = try send(request)
                guard answer.status >= 500 || answer.status == 429 else { return answer }
                problem = "status \(answer.status)"
            } catch {
                problem = error.text
                // Where nobody listens, and where no route leads, nobody will a moment later.
                if case .unreachable = error { break }
            }
        }
        throw CredentialProblem("\(what): \(problem)", isTransient: true)
    }
}
