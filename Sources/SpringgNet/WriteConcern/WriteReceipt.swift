import NIOHTTP1
package import SpringgCluster
package import SpringgLog
import SpringgProjections

/// What a write is answered with beside its data: which event it became, and how far that has got.
package struct WriteReceipt: Sendable, Equatable {
    package var origin: OriginID
    package var sequence: SpringgLog.Sequence
    package var hlc: HLC
    /// What was reached; see `wanted`.
    package var ack = AckLevel.local
    /// What was asked for.
    package var wanted = AckLevel.local

    /// Of several events of one request the last: whoever has it has all of them.
    ///
    /// Nil when nothing was written.
    init?(_ results: [Result<Receipt, CommandError>]) {
        var last: Receipt?
        for case .success(let receipt) in results where last.map({ $0.lsn < receipt.lsn }) ?? true { last = receipt }
        guard let last else { return nil }
        (origin, sequence, hlc) = (last.origin, last.sequence, last.hlc)
    }
}

extension Answer {
    /// The answer to a write, with its receipt after what it said so far.
    ///
    /// A level that was not reached is no error, since the write is stored: it is 202 instead of 200.
    func with(_ receipt: WriteReceipt?) -> Answer {
        guard let receipt, contentType == .json, status == .ok else { return self }
        var answer = self
        answer.body.reopenDocument()
        answer.body.raw(#","receipt":{"origin":""#)
        answer.body.raw(receipt.origin.description)
        answer.body.raw(#"","sequence":"#)
        answer.body.integer(Int(clamping: receipt.sequence.rawValue))
        answer.body.raw(#","hlc":""#)
        answer.body.raw(receipt.hlc.description)
        answer.body.raw(#"","ack":""#)
        answer.body.raw(receipt.ack.rawValue)
        answer.body.raw("\"}}\n")
        if receipt.ack != receipt.wanted { answer.status = .accepted }
        return answer
    }
}
