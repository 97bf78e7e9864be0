import NIOHTTP1
import SpringgProjections

/// Why a node should get no requests now.
public struct Unready: Sendable {
    /// A word for programs.
    public let code: String
    /// What there is to know.
    public let text: String

    /// - Parameters:
    ///   - code: A word for programs.
    ///   - text: What there is to know.
    public init(code: String, text: String) {
        self.code = code
        self.text = text
    }
}

/// `/livez` and `/readyz`: what supervisors and load balancers ask.
extension Worker {
    /// That there is an answer is the answer.
    func live() -> Answer {
        .success { $0.raw(#"{"live":true}"#) }
    }

    func ready() -> Answer {
        let reasons = unready
        guard let first = reasons.first else {
            return .success { $0.raw(#"{"ready":true}"#) }
        }
        var body = ResponseWriter(capacity: 512)
        body.raw(#"{"status":"error","error":"#)
        body.string("not ready: \(first.text)")
        body.raw(#","code":"not_ready","data":{"ready":false,"reasons":["#)
        for (place, reason) in reasons.enumerated() {
            body.raw(place == 0 ? #"{"code":"# : #",{"code":"#)
            body.string(reason.code)
            body.raw(#","text":"#)
            body.string(reason.text)
            body.raw("}")
        }
        body.raw("]}}\n")
        var answer = Answer(.serviceUnavailable, contentType: .json, body: body)
        answer.retryAfterSeconds = 1
        return answer
    }

    private var unready: [Unready] {
        guard context.isOpen else {
            return [Unready(code: ErrorCode.starting.rawValue, text: context.startText)]
        }
        var reasons: [Unready] = []
        switch context.database.health {
        case .healthy: ()
        case .full(let text): reasons.append(Unready(code: ErrorCode.diskFull.rawValue, text: text))
        case .readOnly(let text): reasons.append(Unready(code: ErrorCode.readOnly.rawValue, text: text))
        }
        if isDraining {
            reasons.append(Unready(code: ErrorCode.shuttingDown.rawValue, text: "the node is shutting down"))
        }
        return reasons + context.options.unready.flatMap { $0() }
    }
}
