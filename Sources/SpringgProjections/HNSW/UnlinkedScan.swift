import CSpringg

/// Compares a query with rows that no graph holds yet: with their codes first, where there are some, and with their floats
/// where the code does not rule out that the row is among the best.
///
/// The answer is that of comparing all of them with their floats. Let x be the direction of a row, c that of its code, q the
/// query, d the direction of its code, all of length 1. Then x · q = c · d + c · (q - d) + (x - c) · q, so that
///
///     |x · q - c · d| ≤ |q - d| + |x - c|
///
/// Both lengths are known, `Mark.lost`; `slack` bounds what rounding adds to them, to c · d and to the score itself.
struct UnlinkedScan {
    /// Components of unlinked rows from which on codes are worth their memory: below, tens of microseconds could be saved.
    private static let componentsMin = 1 << 20
    /// Components of a row from which on its code is read clearly faster; at 128 nothing is gained.
    private static let dimensionsMin = 256
    /// The share of the unlinked rows that one search makes codes of, at most.
    ///
    /// Making a code takes several times as long as comparing its row: a search is about a fifth longer for it.
    private static let encodedShare = 32
    /// Rows of a run, at most: those of a word of the ledger, 64; a batch has room for two runs.
    private static let runMax = WalkScratch.batchMax / 2

    private let scorer: ExactSearch.Scorer
    private let scratch: WalkScratch
    private let coding: VectorCode
    /// The query's code; nil where codes are not used.
    private let query: VectorCode.Query?
    /// What a similarity by codes may be below the score, but for the row's own loss.
    private let margin: Float
    /// Rows that this search may still make codes of.
    private var rowsToEncode: Int
    /// Rows that were compared with their floats.
    private(set) var compared = 0

    /// The code of the query is in the scratch as long as this is used.
    init(_ scorer: ExactSearch.Scorer, _ scratch: WalkScratch) {
        self.scorer = scorer
        self.scratch = scratch
        let layout = scorer.store.layout
        coding = scorer.store.codesLayout.coding
        let unlinked = scorer.store.ledger.count(.unlinked)
        rowsToEncode = unlinked / UnlinkedScan.encodedShare
        guard unlinked * layout.stride >= UnlinkedScan.componentsMin, layout.dimensions >= UnlinkedScan.dimensionsMin,
            let unit = scorer.unit.baseAddress,
            let query = coding.query(unit, scale: 1, into: scratch.query(.sought, bytes: coding.queryBytes))
        else {
            query = nil
            margin = 0
            return
        }
        self.query = query
        margin =
            RowCodes.loss(unit, scale: 1, query.code, factor: query.factor, coding)
            + UnlinkedScan.slack(dimensions: layout.dimensions)
    }

    /// Twice what rounding to float32 (unit u = 2⁻²⁴) adds up to: n·u for the score's sum, n·u for the sums in the two
    /// losses together (each at most 1, under a root), and fewer than 16·u for scales, factors and lengths that are 1 but
    /// for rounding.
    private static func slack(dimensions: Int) -> Float { Float(dimensions + 8) * 0x1p-22 }

    /// Offers the rows of a run of slots in one chunk, all seen at the moment of the search.
    mutating func offer(
        _ first: UInt32,
        _ rows: UnsafePointer<Float>,
        _ scales: UnsafePointer<Float>,
        _ count: Int,
        to best: inout BoundedHeap,
        accepting predicate: ((UInt32) -> Bool)?
    ) {
        let store = scorer.store
        guard let query, let codes = store.codes(around: first, making: rowsToEncode > 0) else {
            compared += count
            scorer.offer(first, rows, scales, count, to: &best, accepting: predicate)
            return
        }
        precondition(count <= UnlinkedScan.runMax)
        // Rows with a code from the beginning of the batch, those to be compared with their floats from the middle.
        let floats = UnlinkedScan.runMax
        var (coded, plain) = (0, 0)
        for slot in first..<first + UInt32(count) {
            let place = Int(slot) & store.layout.mask
            if codes.holds(place, born: store.born(slot)) {
                scratch.batch[coded] = slot
                scratch.rows[coded] = UnsafeRawPointer(codes.base + place * coding.bytes)
                coded += 1
            } else {
                scratch.batch[floats + plain] = slot
                plain += 1
            }
        }
        let uncoded = plain
        if coded > 0 { coding.dots(query, scratch.rows, coded, into: scratch.dots) }
        for index in 0..<coded {
            let mark = codes.marks[Int(scratch.batch[index]) & store.layout.mask]
            let highest = scratch.dots[index] * (query.factor * mark.factor) + (margin + mark.lost)
            // A score below -1 counts as -1.
            if highest < best.threshold, best.threshold > -1 { continue }
            scratch.batch[floats + plain] = scratch.batch[index]
            plain += 1
        }
        guard plain > 0 else { return }
        compared += plain
        for index in floats..<floats + plain {
            scratch.rows[index] = UnsafeRawPointer(store.vector(of: scratch.batch[index]).baseAddress)
        }
        scorer.offer(
            scratch.batch + floats,
            scratch.rows + floats,
            plain,
            products: scratch.dots + floats,
            to: &best,
            accepting: predicate
        )
        // Their floats are in the cache now.
        for index in floats..<floats + min(uncoded, rowsToEncode) { encode(scratch.batch[index], codes) }
    }

    private mutating func encode(_ slot: UInt32, _ codes: RowCodes) {
        let store = scorer.store
        let scale = store.scale(of: slot).pointee
        guard VectorStore.hasDirection(scale), let row = store.vector(of: slot).baseAddress else { return }
        codes.make(Int(slot) & store.layout.mask, born: store.born(slot), row, scale: scale, coding)
        rowsToEncode -= 1
    }
}
