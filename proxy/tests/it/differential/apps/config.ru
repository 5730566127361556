# A Rack app for Puma that says what it saw: `X-Saw: METHOD TARGET LENGTH CRC32`.
require "zlib"

run lambda { |env|
  body = env["rack.input"].read
  saw = format("%s %s %d %08x", env["REQUEST_METHOD"], env["REQUEST_URI"], body.bytesize, Zlib.crc32(body))
  [200, { "X-Saw" => saw, "Content-Length" => "4" }, ["saw\n"]]
}
