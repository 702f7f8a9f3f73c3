/**
 * osquery's extension API, written down from its observed behaviour.
 *
 * Transport: Unix stream sockets, buffered (not framed), strict binary protocol.
 * `Extension` is served by an extension at `<manager socket>.<uuid>`,
 * `ExtensionManager` by osqueryd at `<manager socket>`.
 *
 * The codec in `src/` is written by hand after this file, because code made by the
 * Thrift compiler reads `string` as UTF-8 and refuses anything else, while osquery
 * sends raw bytes (a snapshot of a process with a Latin-1 command line is enough).
 */

typedef map<string, string> ExtensionPluginRequest
typedef list<map<string, string>> ExtensionPluginResponse
typedef i64 ExtensionRouteUUID
typedef map<string, ExtensionPluginResponse> ExtensionRouteTable
typedef map<string, ExtensionRouteTable> ExtensionRegistry

struct InternalOptionInfo {
  1: string value
  2: string default_value
  3: string type
}
typedef map<string, InternalOptionInfo> InternalOptionList

struct InternalExtensionInfo {
  1: string name
  2: string version
  3: string sdk_version
  4: string min_sdk_version
}
typedef map<ExtensionRouteUUID, InternalExtensionInfo> InternalExtensionList

enum ExtensionCode {
  SUCCESS = 0
  FAILED = 1
  FATAL = 2
}

struct ExtensionStatus {
  1: i32 code
  2: string message
  3: ExtensionRouteUUID uuid
}

struct ExtensionResponse {
  1: ExtensionStatus status
  2: ExtensionPluginResponse response
}

service Extension {
  ExtensionStatus ping()
  ExtensionResponse call(1: string registry, 2: string item, 3: ExtensionPluginRequest request)
  void shutdown()
}

service ExtensionManager extends Extension {
  InternalExtensionList extensions()
  InternalOptionList options()
  ExtensionStatus registerExtension(1: InternalExtensionInfo info, 2: ExtensionRegistry registry)
  ExtensionStatus deregisterExtension(1: ExtensionRouteUUID uuid)
  ExtensionResponse query(1: string sql)
  ExtensionResponse getQueryColumns(1: string sql)
}
