import SpringgLog

extension S3Store {
    /// See `ObjectStore`.
    @discardableResult
    public func get(
        _ key: ObjectKey,
        _ range: ObjectRange,
        consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo {
        let place = path(of: key)
        switch range {
        case .all: return try download(key, Download(place: place, range: nil, tag: nil), consume)
        case .bytes(let bytes) where bytes.lowerBound >= 0 && !bytes.isEmpty:
            return try download(key, Download(place: place, range: bytes, tag: nil), consume)
        case .bytes(let bytes):
            // HTTP has no way to ask for nothing.
            let info = try head(key)
            guard bytes.lowerBound >= 0, bytes.upperBound <= info.size else {
                throw ObjectStoreError.invalidRange(at: place)
            }
            return info
        case .last(let count):
            // Two questions: what a store answers to a suffix longer than the object differs from one to the next.
            let info = try head(key)
            let bytes = max(0, info.size - max(0, count))..<info.size
            guard !bytes.isEmpty else { return info }
            return try download(key, Download(place: place, range: bytes, tag: info.tag), consume)
        }
    }

    private func download(
        _ key: ObjectKey,
        _ start: Download,
        _ consume: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> ObjectInfo {
        var download = start
        let answer: HTTPAnswer
        do throws(TransferFailure) {
            answer = try connection.perform {
                var operation = operation("GET", key)
                operation.headers = download.beginAttempt()
                operation.streamsAnswer = true
                return operation
            } progress: {
                download.received
            } onBody: { answer, bytes in
                try download.begin(answer)
                try download.take(bytes)
                try consume(bytes)
            } judge: { _ in
                download.fault()
            }
        } catch .consumer(let error) {
            throw error
        } catch .store(.preconditionFailed) {
            throw ObjectStoreError.changed(at: start.place)
        } catch .store(.invalidRange) where download.received > 0 {
            throw ObjectStoreError.changed(at: start.place)
        } catch .store(let error) {
            throw error
        }
        // An empty object has no piece that would have begun it.
        try download.begin(answer)
        try download.finish()
        guard let size = download.size else { throw ObjectStoreError.unexpected(at: start.place, "no length") }
        return try info(key, answer, size: size)
    }

    /// See `ObjectStore`.
    public func head(_ key: ObjectKey) throws(ObjectStoreError) -> ObjectInfo {
        try info(key, headAnswer(key))
    }

    func headAnswer(_ key: ObjectKey) throws(ObjectStoreError) -> HTTPAnswer {
        var operation = self.operation("HEAD", key)
        operation.headers = [HTTPField("x-amz-checksum-mode", "ENABLED")]
        return try connection.perform(operation)
    }

    func info(_ key: ObjectKey, _ answer: HTTPAnswer, size: Int? = nil) throws(ObjectStoreError) -> ObjectInfo {
        guard let size = size ?? answer.header("content-length").flatMap({ Int($0) }), size >= 0 else {
            throw .unexpected(at: path(of: key), "no length")
        }
        guard let modified = answer.header("last-modified").flatMap(CivilTime.parseHTTPDate) else {
            throw .unexpected(at: path(of: key), "no readable time of change")
        }
        return ObjectInfo(
            key: key,
            size: size,
            tag: answer.header("etag"),
            modifiedSeconds: modified,
            crc32c: answer.header("x-amz-checksum-crc32c").flatMap(S3Checksum.value)
        )
    }
}
