/// The numbers of Malkov & Yashunin 2016, in their letters.
struct HNSWParameters: Sendable, Equatable {
    /// Links of a node on each level but the lowest, and links that a new node sets itself.
    var M: Int
    /// Candidates kept while a node's place is sought.
    var efConstruction: Int
    /// Candidates kept during a search that does not say how many.
    var ef: Int

    /// The paper's advice for real data; 32 gains nothing at recall 0.99 and costs a third more memory.
    static let defaultM = 16
    /// Twice as many gain less than a tenth in speed at equal recall, for twice the time.
    static let defaultEfConstruction = 200
    /// The lowest round number with recall@10 above 0.99 on 30,000 real embeddings of 384 dimensions.
    static let defaultEf = 64

    /// What walks read of the vectors.
    var codes: Quantization

    init(_ options: IndexOptions, dimensions: Int) {
        M = options.m ?? HNSWParameters.defaultM
        efConstruction = options.efConstruction ?? HNSWParameters.defaultEfConstruction
        ef = options.ef ?? HNSWParameters.defaultEf
        codes = options.quantization ?? HNSWParameters.codes(dimensions: dimensions)
    }

    /// Codes that pay: up to 64 components, 4 bits are no smaller than 8, since a code takes whole cache lines.
    private static func codes(dimensions: Int) -> Quantization { dimensions <= 64 ? .int8 : .int4 }

    /// Links of a node on the lowest level.
    var M0: Int { 2 * M }
}
