import SpringgLog

extension S3Store {
    /// Names the attempt that made an object: how a writer whose answer was lost knows his own work.
    private static let writerHeader = "x-amz-meta-springg-writer"

    /// See `ObjectStore`.
    @discardableResult
    public func put(
        _ key: ObjectKey,
        _ body: ObjectBody,
        condition: PutCondition
    ) throws(ObjectStoreError) -> ObjectInfo {
        let writer = condition == .ifAbsent ? connection.randomName() : nil
        if body.count > connection.options.partBytes {
            return try putParts(key, body, condition, writer ?? connection.randomName())
        }
        let digest = try PayloadDigest(body, 0..<body.count)
        var operation = self.operation("PUT", key)
        operation.headers = S3Store.objectHeaders(writer: writer) + connection.options.encryption.headers
        operation.headers.append(HTTPField("x-amz-checksum-crc32c", S3Checksum.text(digest.crc32c)))
        if condition == .ifAbsent { operation.headers.append(HTTPField("if-none-match", "*")) }
        operation.body = HTTPBody(body)
        operation.digest = digest
        do throws(ObjectStoreError) {
            let answer = try connection.perform(operation)
            return ObjectInfo(
                key: key,
                size: body.count,
                tag: answer.header("etag"),
                modifiedSeconds: answer.dateSeconds ?? connection.clock.wallSeconds(),
                crc32c: digest.crc32c
            )
        } catch .preconditionFailed {
            // An earlier attempt may have come through although its answer did not, without our knowing: libcurl too sends
            // again when a kept connection breaks.
            guard let writer, let own = try ownObject(key, writer) else {
                throw .preconditionFailed(at: operation.place)
            }
            return own
        }
    }

    private static func objectHeaders(writer: String?) -> [HTTPField] {
        [HTTPField("content-type", "application/octet-stream")] + (writer.map { [HTTPField(writerHeader, $0)] } ?? [])
    }

    /// The object under `key` if this writer made it.
    private func ownObject(_ key: ObjectKey, _ writer: String) throws(ObjectStoreError) -> ObjectInfo? {
        do throws(ObjectStoreError) {
            let answer = try headAnswer(key)
            return answer.header(S3Store.writerHeader) == writer ? try info(key, answer) : nil
        } catch .notFound {
            return nil
        }
    }

    // MARK: - In parts

    /// Uploads a large body part by part; what has been uploaded is dropped when a part fails for good.
    private func putParts(
        _ key: ObjectKey,
        _ body: ObjectBody,
        _ condition: PutCondition,
        _ writer: String
    ) throws(ObjectStoreError) -> ObjectInfo {
        let upload = try beginUpload(key, writer)
        do throws(ObjectStoreError) {
            let (parts, crc) = try putAllParts(key, body, upload)
            return try complete(key, upload, parts, crc, size: body.count, condition, writer)
        } catch {
            // What cannot be dropped now goes with `removeLeftovers`.
            try? abort(fullKey(key.text), upload)
            throw error
        }
    }

    private func beginUpload(_ key: ObjectKey, _ writer: String) throws(ObjectStoreError) -> String {
        var operation = self.operation("POST", key)
        operation.query = [HTTPField("uploads", "")]
        operation.headers =
            S3Store.objectHeaders(writer: writer) + connection.options.encryption.headers
            + [HTTPField("x-amz-checksum-algorithm", "CRC32C"), HTTPField("x-amz-checksum-type", "FULL_OBJECT")]
        operation.body = HTTPBody(.bytes([]))
        let answer = try connection.perform(operation)
        let document = XMLElement(answer.body)
        guard document?.name == "InitiateMultipartUploadResult", let upload = document?["UploadId"],
            !upload.isEmpty, upload.utf8.count <= 1024
        else { throw .unexpected(at: operation.place, "an upload without an id") }
        return upload
    }

    private struct Part {
        let tag: String
        let crc32c: UInt32
    }

    private func putAllParts(
        _ key: ObjectKey,
        _ body: ObjectBody,
        _ upload: String
    ) throws(ObjectStoreError) -> (parts: [Part], crc32c: UInt32) {
        // Larger parts for what would have too many.
        let size = max(connection.options.partBytes, (body.count + S3Options.partsMax - 1) / S3Options.partsMax)
        var parts: [Part] = []
        var whole: UInt32 = 0
        for start in stride(from: 0, to: body.count, by: size) {
            let range = start..<min(start + size, body.count)
            let digest = try PayloadDigest(body, range, extending: &whole)
            var operation = self.operation("PUT", key)
            operation.query = [HTTPField("partNumber", "\(parts.count + 1)"), HTTPField("uploadId", upload)]
            operation.headers = [HTTPField("x-amz-checksum-crc32c", S3Checksum.text(digest.crc32c))]
            operation.body = HTTPBody(body, range)
            operation.digest = digest
            let answer = try connection.perform(operation)
            guard let tag = answer.header("etag"), tag.utf8.count <= 256 else {
                throw .unexpected(at: operation.place, "a part without an ETag")
            }
            parts.append(Part(tag: tag, crc32c: digest.crc32c))
        }
        return (parts, whole)
    }

    private func complete(
        _ key: ObjectKey,
        _ upload: String,
        _ parts: [Part],
        _ crc: UInt32,
        size: Int,
        _ condition: PutCondition,
        _ writer: String
    ) throws(ObjectStoreError) -> ObjectInfo {
        var list = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        for (index, part) in parts.enumerated() {
            list += "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\(xmlEscaped(part.tag))</ETag>"
            list += "<ChecksumCRC32C>\(S3Checksum.text(part.crc32c))</ChecksumCRC32C></Part>"
        }
        var operation = self.operation("POST", key)
        operation.query = [HTTPField("uploadId", upload)]
        try operation.setDocument(list + "</CompleteMultipartUpload>")
        // Not the object's own checksum, which S3 would take here: some services compare it with this document. Each part has
        // been checked, and the whole is below.
        operation.headers += [
            HTTPField("x-amz-checksum-type", "FULL_OBJECT"), HTTPField("x-amz-mp-object-size", "\(size)"),
        ]
        if condition == .ifAbsent { operation.headers.append(HTTPField("if-none-match", "*")) }
        var refusal: ObjectStoreError?
        do throws(ObjectStoreError) {
            _ = try connection.perform(operation, refusalsInSuccess: true)
        } catch .notFound {
            // The upload is gone, as it is after an attempt whose answer was lost.
            refusal = .unavailable(at: operation.place, "the upload was lost")
        } catch .preconditionFailed {
            refusal = .preconditionFailed(at: operation.place)
        }
        guard let own = try ownObject(key, writer) else {
            if let refusal { throw refusal }
            // Somebody has replaced or removed it since: the same bytes, from another node.
            let now = connection.storeSeconds()
            return ObjectInfo(key: key, size: size, tag: nil, modifiedSeconds: now, crc32c: crc)
        }
        guard own.size == size, own.crc32c == nil || own.crc32c == crc else {
            throw .damaged(at: operation.place, "the store put the parts together wrongly")
        }
        return ObjectInfo(key: key, size: size, tag: own.tag, modifiedSeconds: own.modifiedSeconds, crc32c: crc)
    }

    /// Drops what has been uploaded; an upload that is gone is fine.
    func abort(_ fullKey: String, _ upload: String) throws(ObjectStoreError) {
        let operation = S3Operation(
            method: "DELETE",
            fullKey: fullKey,
            query: [HTTPField("uploadId", upload)],
            place: "s3://\(connection.bucket)/\(fullKey)"
        )
        do throws(ObjectStoreError) { _ = try connection.perform(operation) } catch .notFound {}
    }
}
