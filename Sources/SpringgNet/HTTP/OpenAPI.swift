/// The API's description, OpenAPI 3.1, as `/openapi.json` gives it.
///
/// Written by hand. Tests hold it against the router and the list of codes; `make check-api` sends a server what it allows
/// and what it forbids.
enum OpenAPI {
    /// `VERSION` stands for the program's.
    static let document = #"""
        {
         "openapi": "3.1.0",
         "info": {
          "title": "Springg",
          "version": "VERSION",
          "summary": "A vector database",
          "description": "Names of members may be in any case, and unknown ones are passed over. A header X-Springg-After with the events of receipts has a request wait for them.",
          "license": {"name": "MIT", "identifier": "MIT"}
         },
         "servers": [{"url": "/"}],
         "security": [{"token": []}],
         "tags": [
          {"name": "Node"},
          {"name": "Indexes"},
          {"name": "Vectors"},
          {"name": "Search"},
          {"name": "Marks"},
          {"name": "Internal"}
         ],
         "paths": {
          "/api/health": {
           "get": {
            "operationId": "health",
            "summary": "Whether the node takes writes",
            "tags": ["Node"],
            "security": [],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {
                    "status": {"enum": ["healthy", "degraded", "unhealthy"]},
                    "service": {"const": "springg"},
                    "reason": {"type": "string"},
                    "indexing": {"const": true},
                    "unindexed_rows": {"type": "integer", "minimum": 0}
                   },
                   "required": ["status", "service"]
                  }
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {
              "description": "It takes none",
              "content": {
               "application/json": {
                "schema": {
                 "anyOf": [
                  {"$ref": "#/components/schemas/Error"},
                  {
                   "type": "object",
                   "properties": {"status": {"const": "success"}, "data": {"type": "object"}},
                   "required": ["status", "data"]
                  }
                 ]
                }
               }
              }
             }
            }
           }
          },
          "/livez": {
           "get": {
            "operationId": "live",
            "summary": "Whether the server runs",
            "tags": ["Node"],
            "security": [],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"type": "object", "properties": {"live": {"const": true}}, "required": ["live"]}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "429": {"$ref": "#/components/responses/TooMany"}
            }
           }
          },
          "/readyz": {
           "get": {
            "operationId": "ready",
            "summary": "Whether the node should get requests",
            "tags": ["Node"],
            "security": [],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"type": "object", "properties": {"ready": {"const": true}}, "required": ["ready"]}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {
              "description": "Not now; the reasons",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "error"},
                  "error": {"type": "string"},
                  "code": {"const": "not_ready"},
                  "data": {
                   "type": "object",
                   "properties": {
                    "ready": {"const": false},
                    "reasons": {
                     "type": "array",
                     "items": {
                      "type": "object",
                      "properties": {"code": {"type": "string"}, "text": {"type": "string"}},
                      "required": ["code", "text"]
                     }
                    }
                   },
                   "required": ["ready", "reasons"]
                  }
                 },
                 "required": ["status", "error", "code", "data"]
                }
               }
              }
             }
            }
           }
          },
          "/metrics": {
           "get": {
            "operationId": "metrics",
            "summary": "Metrics in Prometheus' text format",
            "tags": ["Node"],
            "security": [{}, {"token": []}],
            "responses": {
             "200": {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           }
          },
          "/openapi.json": {
           "get": {
            "operationId": "description",
            "summary": "This document",
            "tags": ["Node"],
            "security": [],
            "responses": {
             "200": {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}},
             "429": {"$ref": "#/components/responses/TooMany"}
            }
           }
          },
          "/": {
           "get": {
            "operationId": "page",
            "summary": "A page to look at the node in a browser",
            "tags": ["Node"],
            "security": [],
            "responses": {
             "200": {"description": "HTML", "content": {"text/html": {"schema": {"type": "string"}}}},
             "429": {"$ref": "#/components/responses/TooMany"}
            }
           }
          },
          "/api/stats": {
           "get": {
            "operationId": "nodeStats",
            "summary": "The node in numbers",
            "tags": ["Node"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {"status": {"const": "success"}, "data": {"$ref": "#/components/schemas/NodeStats"}},
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           }
          },
          "/api/events": {
           "get": {
            "operationId": "events",
            "summary": "The newest events of the log",
            "tags": ["Node"],
            "parameters": [
             {
              "name": "limit",
              "in": "query",
              "required": false,
              "description": "How many; 50 when not said",
              "schema": {"type": "integer", "minimum": 1, "maximum": 1000}
             }
            ],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "array",
                   "items": {
                    "type": "object",
                    "properties": {
                     "lsn": {"type": "integer", "minimum": 0},
                     "time": {"type": "string"},
                     "origin": {"type": "string"},
                     "sequence": {"type": "integer", "minimum": 0},
                     "traceparent": {"type": "string"},
                     "kind": {
                      "enum": ["index_created", "index_deleted", "vector_put", "vector_deleted", "mark", "unknown"]
                     },
                     "index": {"type": "string"},
                     "id": {"type": "string"},
                     "name": {"type": "string"},
                     "dimensions": {"type": "integer", "minimum": 0}
                    },
                    "required": ["lsn", "time", "origin", "sequence", "kind"]
                   }
                  }
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"}
            }
           }
          },
          "/api/indexes": {
           "get": {
            "operationId": "listIndexes",
            "summary": "All indexes, by name",
            "tags": ["Indexes"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"type": "array", "items": {"$ref": "#/components/schemas/IndexInfo"}}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           }
          },
          "/api/indexes/{name}": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            }
           ],
           "post": {
            "operationId": "createIndex",
            "summary": "Create an index",
            "tags": ["Indexes"],
            "requestBody": {
             "required": true,
             "content": {
              "application/json": {
               "schema": {
                "type": "object",
                "properties": {
                 "dimensions": {"type": "integer", "minimum": 1, "maximum": 65536},
                 "m": {"type": ["integer", "null"], "minimum": 4, "maximum": 64},
                 "ef_construction": {"type": ["integer", "null"], "minimum": 10, "maximum": 2000},
                 "ef": {"type": ["integer", "null"], "minimum": 10, "maximum": 2000},
                 "quantization": {"enum": ["auto", "int4", "int8", "none", null]}
                },
                "required": ["dimensions"]
               }
              }
             }
            },
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {
                    "name": {"type": "string"},
                    "dimensions": {"type": "integer", "minimum": 0},
                    "created": {"const": true}
                   },
                   "required": ["name", "dimensions", "created"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {
                    "name": {"type": "string"},
                    "dimensions": {"type": "integer", "minimum": 0},
                    "created": {"const": true}
                   },
                   "required": ["name", "dimensions", "created"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "408": {"$ref": "#/components/responses/Slow"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           },
           "delete": {
            "operationId": "deleteIndex",
            "summary": "Delete an index with all its vectors",
            "tags": ["Indexes"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"name": {"type": "string"}, "deleted": {"const": true}},
                   "required": ["name", "deleted"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"name": {"type": "string"}, "deleted": {"const": true}},
                   "required": ["name", "deleted"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           }
          },
          "/api/indexes/{name}/stats": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            }
           ],
           "get": {
            "operationId": "indexStats",
            "summary": "An index in numbers",
            "tags": ["Indexes"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {"status": {"const": "success"}, "data": {"$ref": "#/components/schemas/IndexStats"}},
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           }
          },
          "/api/indexes/{name}/vectors": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            }
           ],
           "post": {
            "operationId": "addVector",
            "summary": "Add or replace a vector",
            "tags": ["Vectors"],
            "requestBody": {
             "required": true,
             "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewVector"}}}
            },
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "added": {"const": true}},
                   "required": ["id", "added"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "added": {"const": true}},
                   "required": ["id", "added"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "408": {"$ref": "#/components/responses/Slow"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           }
          },
          "/api/indexes/{name}/vectors/bulk": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            }
           ],
           "post": {
            "operationId": "bulkAdd",
            "summary": "Add or replace many vectors, each for itself",
            "tags": ["Vectors"],
            "requestBody": {
             "required": true,
             "content": {
              "application/json": {
               "schema": {
                "type": "object",
                "properties": {
                 "vectors": {
                  "type": "array",
                  "items": {
                   "type": ["object", "null"],
                   "properties": {
                    "id": {"type": ["string", "null"]},
                    "vector": {"oneOf": [{"type": "null"}, {"type": "array", "items": {"type": "number"}}]},
                    "metadata": {"$ref": "#/components/schemas/Metadata"}
                   }
                  },
                  "minItems": 1,
                  "maxItems": 100000
                 }
                },
                "required": ["vectors"]
               }
              },
              "application/x-ndjson": {
               "schema": {
                "type": "string",
                "format": "binary",
                "description": "A vector of the JSON form on each line; worked off while it arrives, of any length"
               }
              },
              "application/vnd.springg.f32": {
               "schema": {
                "type": "string",
                "format": "binary",
                "description": "Records: bytes of id and metadata (32 bits each), id, metadata, components"
               }
              }
             }
            },
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"$ref": "#/components/schemas/BulkResult"},
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"$ref": "#/components/schemas/BulkResult"},
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "408": {"$ref": "#/components/responses/Slow"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           },
           "get": {
            "operationId": "getVectorBulk",
            "summary": "The same for the vector whose id is bulk",
            "tags": ["Vectors"],
            "parameters": [
             {
              "name": "fields",
              "in": "query",
              "required": false,
              "description": "What an answer says of each vector",
              "schema": {"type": "string", "pattern": "^(id|score|vector|metadata)(,(id|score|vector|metadata))*$"}
             },
             {
              "name": "include_vector",
              "in": "query",
              "required": false,
              "description": "Whether the components come back",
              "schema": {"type": "boolean"}
             },
             {
              "name": "include_metadata",
              "in": "query",
              "required": false,
              "description": "Whether metadata come back",
              "schema": {"type": "boolean"}
             }
            ],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {
                    "id": {"type": "string"},
                    "vector": {"$ref": "#/components/schemas/Vector"},
                    "metadata": {"type": "object"}
                   },
                   "required": ["id"]
                  }
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           },
           "put": {
            "operationId": "updateVectorBulk",
            "summary": "The same for the vector whose id is bulk",
            "tags": ["Vectors"],
            "requestBody": {
             "required": true,
             "content": {
              "application/json": {
               "schema": {
                "type": "object",
                "properties": {
                 "vector": {"$ref": "#/components/schemas/Vector"},
                 "metadata": {"$ref": "#/components/schemas/Metadata"}
                },
                "required": ["vector"]
               }
              }
             }
            },
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "updated": {"const": true}},
                   "required": ["id", "updated"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "updated": {"const": true}},
                   "required": ["id", "updated"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "408": {"$ref": "#/components/responses/Slow"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           },
           "delete": {
            "operationId": "deleteVectorBulk",
            "summary": "The same for the vector whose id is bulk",
            "tags": ["Vectors"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "deleted": {"const": true}},
                   "required": ["id", "deleted"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "deleted": {"const": true}},
                   "required": ["id", "deleted"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           }
          },
          "/api/indexes/{name}/vectors/{id}": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            },
            {
             "name": "id",
             "in": "path",
             "required": true,
             "description": "Id of the vector, percent-encoded: 1 to 512 bytes of UTF-8",
             "schema": {"type": "string", "minLength": 1, "maxLength": 128}
            }
           ],
           "get": {
            "operationId": "getVector",
            "summary": "A vector as it was sent",
            "tags": ["Vectors"],
            "parameters": [
             {
              "name": "fields",
              "in": "query",
              "required": false,
              "description": "What an answer says of each vector",
              "schema": {"type": "string", "pattern": "^(id|score|vector|metadata)(,(id|score|vector|metadata))*$"}
             },
             {
              "name": "include_vector",
              "in": "query",
              "required": false,
              "description": "Whether the components come back",
              "schema": {"type": "boolean"}
             },
             {
              "name": "include_metadata",
              "in": "query",
              "required": false,
              "description": "Whether metadata come back",
              "schema": {"type": "boolean"}
             }
            ],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {
                    "id": {"type": "string"},
                    "vector": {"$ref": "#/components/schemas/Vector"},
                    "metadata": {"type": "object"}
                   },
                   "required": ["id"]
                  }
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           },
           "put": {
            "operationId": "updateVector",
            "summary": "Replace a vector that exists",
            "tags": ["Vectors"],
            "requestBody": {
             "required": true,
             "content": {
              "application/json": {
               "schema": {
                "type": "object",
                "properties": {
                 "vector": {"$ref": "#/components/schemas/Vector"},
                 "metadata": {"$ref": "#/components/schemas/Metadata"}
                },
                "required": ["vector"]
               }
              }
             }
            },
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "updated": {"const": true}},
                   "required": ["id", "updated"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "updated": {"const": true}},
                   "required": ["id", "updated"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "408": {"$ref": "#/components/responses/Slow"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           },
           "delete": {
            "operationId": "deleteVector",
            "summary": "Delete a vector",
            "tags": ["Vectors"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "deleted": {"const": true}},
                   "required": ["id", "deleted"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "object",
                   "properties": {"id": {"type": "string"}, "deleted": {"const": true}},
                   "required": ["id", "deleted"]
                  },
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           }
          },
          "/api/indexes/{name}/search": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            }
           ],
           "post": {
            "operationId": "search",
            "summary": "The most similar vectors",
            "tags": ["Search"],
            "parameters": [
             {
              "name": "fields",
              "in": "query",
              "required": false,
              "description": "What an answer says of each vector",
              "schema": {"type": "string", "pattern": "^(id|score|vector|metadata)(,(id|score|vector|metadata))*$"}
             },
             {
              "name": "include_vector",
              "in": "query",
              "required": false,
              "description": "Whether the components come back",
              "schema": {"type": "boolean"}
             },
             {
              "name": "include_metadata",
              "in": "query",
              "required": false,
              "description": "Whether metadata come back",
              "schema": {"type": "boolean"}
             },
             {
              "name": "k",
              "in": "query",
              "required": false,
              "description": "Results, an integer of at most 10000; of a binary body alone, others say it themselves",
              "schema": {"type": "string"}
             },
             {
              "name": "ef",
              "in": "query",
              "required": false,
              "description": "Candidates, an integer from 10 to 2000; of a binary body alone",
              "schema": {"type": "string"}
             },
             {
              "name": "explain",
              "in": "query",
              "required": false,
              "description": "How it was found, true or false; of a binary body alone",
              "schema": {"type": "string"}
             }
            ],
            "requestBody": {
             "required": true,
             "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/Search"}},
              "application/vnd.springg.f32": {
               "schema": {
                "type": "string",
                "format": "binary",
                "description": "The components of the query, little-endian float32"
               }
              }
             }
            },
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}},
                  "explain": {"$ref": "#/components/schemas/Explain"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "408": {"$ref": "#/components/responses/Slow"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"}
            }
           }
          },
          "/api/indexes/{name}/search/batch": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            }
           ],
           "post": {
            "operationId": "searchBatch",
            "summary": "Many searches at once",
            "tags": ["Search"],
            "parameters": [
             {
              "name": "fields",
              "in": "query",
              "required": false,
              "description": "What an answer says of each vector",
              "schema": {"type": "string", "pattern": "^(id|score|vector|metadata)(,(id|score|vector|metadata))*$"}
             },
             {
              "name": "include_vector",
              "in": "query",
              "required": false,
              "description": "Whether the components come back",
              "schema": {"type": "boolean"}
             },
             {
              "name": "include_metadata",
              "in": "query",
              "required": false,
              "description": "Whether metadata come back",
              "schema": {"type": "boolean"}
             },
             {
              "name": "k",
              "in": "query",
              "required": false,
              "description": "Results, an integer of at most 10000; of a binary body alone, others say it themselves",
              "schema": {"type": "string"}
             },
             {
              "name": "ef",
              "in": "query",
              "required": false,
              "description": "Candidates, an integer from 10 to 2000; of a binary body alone",
              "schema": {"type": "string"}
             },
             {
              "name": "explain",
              "in": "query",
              "required": false,
              "description": "How it was found, true or false; of a binary body alone",
              "schema": {"type": "string"}
             }
            ],
            "requestBody": {
             "required": true,
             "content": {
              "application/json": {
               "schema": {
                "type": "object",
                "properties": {
                 "searches": {
                  "type": "array",
                  "items": {"$ref": "#/components/schemas/Search"},
                  "minItems": 1,
                  "maxItems": 1000
                 }
                },
                "required": ["searches"]
               }
              },
              "application/vnd.springg.f32": {
               "schema": {
                "type": "string",
                "format": "binary",
                "description": "The components of all queries, one after the other, little-endian float32"
               }
              }
             }
            },
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {
                   "type": "array",
                   "items": {
                    "type": "object",
                    "properties": {
                     "hits": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}},
                     "explain": {"$ref": "#/components/schemas/Explain"}
                    },
                    "required": ["hits"]
                   }
                  }
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "408": {"$ref": "#/components/responses/Slow"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"}
            }
           }
          },
          "/api/marks": {
           "get": {
            "operationId": "listMarks",
            "summary": "All marks, earliest first",
            "tags": ["Marks"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"type": "array", "items": {"$ref": "#/components/schemas/Mark"}}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           },
           "post": {
            "operationId": "setMark",
            "summary": "Name the present moment",
            "tags": ["Marks"],
            "requestBody": {
             "required": true,
             "content": {
              "application/json": {
               "schema": {
                "type": "object",
                "properties": {
                 "name": {"type": "string", "pattern": "^(?!latest$)[A-Za-z][A-Za-z0-9_.-]{0,127}$"},
                 "move": {"type": ["boolean", "null"]}
                },
                "required": ["name"]
               }
              }
             }
            },
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"$ref": "#/components/schemas/Mark"},
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "202": {
              "description": "Stored, but not as far as ack wants; the receipt says how far",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"$ref": "#/components/schemas/Mark"},
                  "receipt": {"$ref": "#/components/schemas/Receipt"}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "408": {"$ref": "#/components/responses/Slow"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "parameters": [{"$ref": "#/components/parameters/Ack"}]
           }
          },
          "/internal/indexes": {
           "get": {
            "operationId": "internalIndexes",
            "summary": "All indexes, for nodes",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {
                  "status": {"const": "success"},
                  "data": {"type": "array", "items": {"$ref": "#/components/schemas/IndexInfo"}}
                 },
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           }
          },
          "/internal/cluster/status": {
           "get": {
            "operationId": "clusterStatus",
            "summary": "The cluster as this node sees it",
            "tags": ["Internal"],
            "security": [{}, {"token": []}],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {"status": {"const": "success"}, "data": {"type": "object"}},
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"}
            }
           }
          },
          "/internal/replicate": {
           "post": {
            "operationId": "replicate",
            "summary": "A message of the former program's replication",
            "tags": ["Internal"],
            "parameters": [
             {
              "name": "X-Batch-Size",
              "in": "header",
              "required": false,
              "description": "The body holds many messages",
              "schema": {"type": "integer", "minimum": 0}
             }
            ],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {"status": {"const": "success"}, "data": {"type": "object"}},
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "408": {"$ref": "#/components/responses/Slow"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            }
           }
          },
          "/internal/sync/{name}/manifest": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            }
           ],
           "get": {
            "operationId": "syncManifest",
            "summary": "An index in blocks",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {"status": {"const": "success"}, "data": {"type": "object"}},
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"}
            }
           }
          },
          "/internal/sync/{name}/block/{number}": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            },
            {
             "name": "number",
             "in": "path",
             "required": true,
             "description": "Number of the block, from 0",
             "schema": {"type": "integer", "minimum": 0}
            }
           ],
           "get": {
            "operationId": "syncBlock",
            "summary": "The vectors of a block",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {"status": {"const": "success"}, "data": {"type": "object"}},
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"}
            }
           }
          },
          "/internal/digest/{name}/{bits}": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            },
            {
             "name": "bits",
             "in": "path",
             "required": true,
             "description": "How many buckets, as a power of two",
             "schema": {"type": "integer", "minimum": 0, "maximum": 16}
            }
           ],
           "get": {
            "operationId": "digestBuckets",
            "summary": "The digests of an index in buckets",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {"status": {"const": "success"}, "data": {"type": "object"}},
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"}
            }
           }
          },
          "/internal/digest/{name}/{bits}/{bucket}": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of the index, not . or ..",
             "schema": {"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9_.-]{1,128}$"}
            },
            {
             "name": "bits",
             "in": "path",
             "required": true,
             "description": "How many buckets, as a power of two",
             "schema": {"type": "integer", "minimum": 0, "maximum": 16}
            },
            {
             "name": "bucket",
             "in": "path",
             "required": true,
             "description": "Number of the bucket, from 0",
             "schema": {"type": "integer", "minimum": 0}
            }
           ],
           "get": {
            "operationId": "digestRows",
            "summary": "The vectors of a bucket, with their versions",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {
                "schema": {
                 "type": "object",
                 "properties": {"status": {"const": "success"}, "data": {"type": "object"}},
                 "required": ["status", "data"]
                }
               }
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "500": {"$ref": "#/components/responses/Internal"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "504": {"$ref": "#/components/responses/Timeout"}
            }
           }
          },
          "/internal/cluster/join": {
           "post": {
            "operationId": "joinCluster",
            "summary": "Look for a node and join its cluster",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {"schema": {"type": "object"}},
               "application/octet-stream": {"schema": {"type": "string"}}
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "500": {"$ref": "#/components/responses/Internal"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}}
           }
          },
          "/internal/cluster/leave": {
           "post": {
            "operationId": "leaveCluster",
            "summary": "Say farewell to the cluster",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {"schema": {"type": "object"}},
               "application/octet-stream": {"schema": {"type": "string"}}
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "500": {"$ref": "#/components/responses/Internal"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            }
           }
          },
          "/internal/cluster/forget": {
           "post": {
            "operationId": "forgetMember",
            "summary": "No longer count a member that is gone for good",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {"schema": {"type": "object"}},
               "application/octet-stream": {"schema": {"type": "string"}}
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "500": {"$ref": "#/components/responses/Internal"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}}
           }
          },
          "/internal/log": {
           "post": {
            "operationId": "shipLog",
            "summary": "Events of other nodes, in frames of the log",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {"schema": {"type": "object"}},
               "application/octet-stream": {"schema": {"type": "string"}}
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "500": {"$ref": "#/components/responses/Internal"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "requestBody": {"required": true, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
           }
          },
          "/internal/log/pull": {
           "post": {
            "operationId": "pullLog",
            "summary": "Events that the asker lacks",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {"schema": {"type": "object"}},
               "application/octet-stream": {"schema": {"type": "string"}}
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "500": {"$ref": "#/components/responses/Internal"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "requestBody": {"required": true, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
           }
          },
          "/internal/snapshot": {
           "post": {
            "operationId": "snapshot",
            "summary": "Make a snapshot to seed a node from",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {"schema": {"type": "object"}},
               "application/octet-stream": {"schema": {"type": "string"}}
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "500": {"$ref": "#/components/responses/Internal"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            },
            "requestBody": {"required": true, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
           }
          },
          "/internal/snapshot/{name}": {
           "parameters": [
            {
             "name": "name",
             "in": "path",
             "required": true,
             "description": "Name of a block",
             "schema": {"type": "string"}
            }
           ],
           "get": {
            "operationId": "snapshotBlock",
            "summary": "A block of a snapshot",
            "tags": ["Internal"],
            "responses": {
             "200": {
              "description": "Done",
              "content": {
               "application/json": {"schema": {"type": "object"}},
               "application/octet-stream": {"schema": {"type": "string"}}
              }
             },
             "400": {"$ref": "#/components/responses/BadRequest"},
             "401": {"$ref": "#/components/responses/Unauthorized"},
             "403": {"$ref": "#/components/responses/Forbidden"},
             "429": {"$ref": "#/components/responses/TooMany"},
             "503": {"$ref": "#/components/responses/Unavailable"},
             "404": {"$ref": "#/components/responses/NotFound"},
             "409": {"$ref": "#/components/responses/Conflict"},
             "413": {"$ref": "#/components/responses/TooLarge"},
             "500": {"$ref": "#/components/responses/Internal"},
             "504": {"$ref": "#/components/responses/Timeout"},
             "507": {"$ref": "#/components/responses/DiskFull"}
            }
           }
          }
         },
         "components": {
          "securitySchemes": {
           "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Needed when require_jwt is on"
           }
          },
          "parameters": {
           "Ack": {
            "name": "ack",
            "in": "query",
            "required": false,
            "description": "How far the write must have got before it is answered",
            "schema": {"enum": ["local", "peer", "quorum", "s3"]}
           }
          },
          "responses": {
           "BadRequest": {
            "description": "The request cannot be done as it stands",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "Unauthorized": {
            "description": "The token is missing or wrong",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "Forbidden": {
            "description": "The token does not allow it, or the server shows the past",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "NotFound": {
            "description": "There is no such index or vector",
            "content": {
             "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
             "text/plain": {"schema": {"type": "string"}}
            }
           },
           "Conflict": {
            "description": "The name is taken",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "Slow": {
            "description": "The request did not arrive in time",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "TooLarge": {
            "description": "The body is too large",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "TooMany": {
            "description": "Too many requests",
            "content": {
             "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
             "text/plain": {"schema": {"type": "string"}}
            },
            "headers": {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}}}
           },
           "Internal": {
            "description": "Nothing was stored",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "Unavailable": {
            "description": "Starting, stopping, busy, read-only, or switched off",
            "headers": {"Retry-After": {"description": "Seconds to wait, if waiting helps", "schema": {"type": "integer", "minimum": 1}}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "Timeout": {
            "description": "It took too long; a write may have been stored",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           },
           "DiskFull": {
            "description": "The disk is full; nothing was stored",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
           }
          },
          "schemas": {
           "Receipt": {
            "type": "object",
            "properties": {
             "origin": {"type": "string"},
             "sequence": {"type": "integer", "minimum": 0},
             "hlc": {"type": "string"},
             "ack": {"enum": ["local", "peer", "quorum", "s3"]}
            },
            "required": ["origin", "sequence", "hlc", "ack"]
           },
           "Error": {
            "type": "object",
            "properties": {
             "status": {"const": "error"},
             "error": {"type": "string"},
             "code": {
              "type": "string",
              "enum": [
               "invalid_request",
               "unauthorized",
               "forbidden",
               "not_found",
               "conflict",
               "request_timeout",
               "payload_too_large",
               "unsupported_media_type",
               "too_many_requests",
               "header_too_large",
               "internal_error",
               "unavailable",
               "timeout",
               "index_not_found",
               "index_exists",
               "index_full",
               "vector_not_found",
               "dimension_mismatch",
               "mark_exists",
               "memory_limit",
               "disk_full",
               "read_only",
               "write_failed",
               "writes_refused",
               "overloaded",
               "starting",
               "shutting_down",
               "not_ready"
              ]
             }
            },
            "required": ["status", "error", "code"]
           },
           "Vector": {
            "type": "array",
            "items": {"type": "number", "minimum": -3.4028235677973366e+38, "maximum": 3.4028235677973366e+38},
            "minItems": 1,
            "maxItems": 65536
           },
           "Metadata": {
            "type": ["object", "null"],
            "properties": {
             "published_date": {"type": ["string", "null"]},
             "modified_date": {"type": ["string", "null"]},
             "custom": {"type": ["object", "null"]}
            },
            "description": "At most 1 MiB; other members are dropped"
           },
           "NewVector": {
            "type": "object",
            "properties": {
             "id": {"type": "string", "minLength": 1, "maxLength": 128},
             "vector": {"$ref": "#/components/schemas/Vector"},
             "metadata": {"$ref": "#/components/schemas/Metadata"}
            },
            "required": ["id", "vector"]
           },
           "Search": {
            "type": "object",
            "properties": {
             "vector": {"$ref": "#/components/schemas/Vector"},
             "k": {
              "type": ["integer", "null"],
              "maximum": 10000,
              "description": "Results; 10 when missing or not positive"
             },
             "ef": {
              "type": ["integer", "null"],
              "minimum": 10,
              "maximum": 2000,
              "description": "Candidates kept on the way through the graph"
             },
             "explain": {"type": ["boolean", "null"]},
             "include_vector": {"type": ["boolean", "null"]},
             "include_metadata": {"type": ["boolean", "null"]},
             "recency_boost": {
              "type": ["object", "null"],
              "properties": {
               "field": {"type": ["string", "null"]},
               "recent_days": {"type": ["number", "null"]},
               "recent_multiplier": {"type": ["number", "null"]},
               "medium_days": {"type": ["number", "null"]},
               "medium_multiplier": {"type": ["number", "null"]}
              }
             }
            },
            "required": ["vector"]
           },
           "Hit": {
            "type": "object",
            "properties": {
             "id": {"type": "string"},
             "score": {"type": "number"},
             "vector": {"$ref": "#/components/schemas/Vector"},
             "metadata": {"type": "object"}
            },
            "required": ["id"]
           },
           "Explain": {
            "type": "object",
            "properties": {
             "method": {"enum": ["exact", "hnsw"]},
             "ef": {"type": "integer", "minimum": 0},
             "distances": {"type": "integer", "minimum": 0},
             "nodes_visited": {"type": "integer", "minimum": 0},
             "unindexed_scanned": {"type": "integer", "minimum": 0},
             "unindexed_compared": {"type": "integer", "minimum": 0},
             "exact_comparisons": {"type": "integer", "minimum": 0},
             "fell_back": {"type": "boolean"}
            },
            "required": [
             "method",
             "ef",
             "distances",
             "nodes_visited",
             "unindexed_scanned",
             "unindexed_compared",
             "exact_comparisons",
             "fell_back"
            ]
           },
           "BulkResult": {
            "type": "object",
            "properties": {
             "total": {"type": "integer", "minimum": 0},
             "success": {"type": "integer", "minimum": 0},
             "failed": {"type": "integer", "minimum": 0},
             "unknown": {"type": "integer", "minimum": 0},
             "errors_omitted": {"type": "integer", "minimum": 0},
             "errors": {
              "type": "array",
              "items": {
               "type": "object",
               "properties": {
                "index": {"type": "integer", "minimum": 0},
                "id": {"type": "string"},
                "error": {"type": "string"}
               },
               "required": ["index", "error"]
              }
             }
            },
            "required": ["total", "success", "failed"]
           },
           "IndexInfo": {
            "type": "object",
            "properties": {
             "name": {"type": "string"},
             "dimensions": {"type": "integer", "minimum": 0},
             "count": {"type": "integer", "minimum": 0}
            },
            "required": ["name", "dimensions", "count"]
           },
           "Mark": {
            "type": "object",
            "properties": {
             "name": {"type": "string"},
             "time": {"type": "string"},
             "hlc": {"type": "string"},
             "origin": {"type": "string"},
             "event": {"type": "string"}
            },
            "required": ["name", "time", "hlc", "origin"]
           },
           "IndexStats": {
            "type": "object",
            "properties": {
             "name": {"type": "string"},
             "dimensions": {"type": "integer", "minimum": 0},
             "count": {"type": "integer", "minimum": 0},
             "vector_count": {"type": "integer", "minimum": 0},
             "memory_bytes": {"type": "integer", "minimum": 0},
             "memory_mb": {"type": "number"},
             "memory": {
              "type": "object",
              "properties": {
               "graph_bytes": {"type": "integer", "minimum": 0},
               "quantization": {"enum": ["none", "int8", "int4"]},
               "row_bytes_per_vector": {"type": "integer", "minimum": 0},
               "code_bytes_per_vector": {"type": "integer", "minimum": 0},
               "link_bytes_per_vector": {"type": "integer"}
              },
              "required": [
               "graph_bytes",
               "quantization",
               "row_bytes_per_vector",
               "code_bytes_per_vector",
               "link_bytes_per_vector"
              ]
             },
             "disk_size": {"type": "integer", "minimum": 0},
             "dirty": {"type": "boolean"},
             "digest": {"type": "string"},
             "conflicts": {"type": "integer", "minimum": 0},
             "concurrent_writes": {"type": "integer", "minimum": 0},
             "indexed": {"type": "integer", "minimum": 0},
             "unindexed": {"type": "integer", "minimum": 0},
             "graph": {
              "type": "object",
              "properties": {
               "sweeps": {"type": "integer", "minimum": 0},
               "relinked": {"type": "integer", "minimum": 0},
               "last_sweep_relinked": {"type": "integer", "minimum": 0},
               "seconds_since_sweep": {"type": ["number", "null"]}
              },
              "required": ["sweeps", "relinked", "last_sweep_relinked", "seconds_since_sweep"]
             },
             "recall_probe": {
              "oneOf": [
               {"type": "null"},
               {
                "type": "object",
                "properties": {
                 "recall": {"type": ["number", "null"]},
                 "samples": {"type": "integer", "minimum": 0},
                 "total": {"type": "integer", "minimum": 0},
                 "abandoned": {"type": "integer", "minimum": 0}
                },
                "required": ["recall", "samples", "total", "abandoned"]
               }
              ]
             }
            },
            "required": [
             "name",
             "dimensions",
             "count",
             "vector_count",
             "memory_bytes",
             "memory_mb",
             "memory",
             "disk_size",
             "dirty",
             "digest",
             "conflicts",
             "concurrent_writes",
             "indexed",
             "unindexed",
             "graph",
             "recall_probe"
            ]
           },
           "NodeStats": {
            "type": "object",
            "properties": {
             "indexes": {"type": "integer", "minimum": 0},
             "vectors": {"type": "integer", "minimum": 0},
             "digest": {"type": "string"},
             "memory": {
              "type": "object",
              "properties": {"bytes": {"type": "integer", "minimum": 0}, "limit_bytes": {"type": "integer", "minimum": 0}},
              "required": ["bytes", "limit_bytes"]
             },
             "disk": {
              "type": "object",
              "properties": {
               "log_bytes": {"type": "integer", "minimum": 0},
               "checkpoint_bytes": {"type": "integer", "minimum": 0},
               "limit_bytes": {"type": "integer", "minimum": 0},
               "full": {"type": "boolean"}
              },
              "required": ["log_bytes", "checkpoint_bytes", "limit_bytes", "full"]
             },
             "log": {
              "type": "object",
              "properties": {
               "origin": {"type": "string"},
               "segments": {"type": "integer", "minimum": 0},
               "first_lsn": {"type": "integer", "minimum": 0},
               "checkpointed_lsn": {"type": "integer", "minimum": 0},
               "applied_lsn": {"type": "integer", "minimum": 0},
               "durable_lsn": {"type": "integer", "minimum": 0},
               "appended_lsn": {"type": "integer", "minimum": 0}
              },
              "required": [
               "origin",
               "segments",
               "first_lsn",
               "checkpointed_lsn",
               "applied_lsn",
               "durable_lsn",
               "appended_lsn"
              ]
             }
            },
            "required": ["indexes", "vectors", "digest", "memory", "disk", "log"]
           }
          }
         }
        }
        """#
}
