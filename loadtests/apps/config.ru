# A Rack app that keeps the ledger: what `loadtests/generator/src/ledger/line.rs` says, from a real app server.
# RELEASE and LEDGER come from the environment.
# It needs no gem: Debian's Puma does not bring Rack along.
require "uri"
require "zlib"

RELEASE = ENV.fetch("RELEASE")
PIECES = 20

module Ledger
  FILE = File.open(ENV.fetch("LEDGER"), File::WRONLY | File::APPEND | File::CREAT)
  LOCK = Mutex.new
  @arrivals = 0

  def self.next_number = LOCK.synchronize { @arrivals += 1 }
  def self.micros = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)
  def self.write(*words) = FILE.syswrite("#{words.join(' ')}\n")
end

# A body that writes down how it ended: a Rack server calls close in any case.
class Answer
  def initialize(number, pieces, pause)
    @number, @pieces, @pause, @whole = number, pieces, pause, false
  end

  def each
    @pieces.each do |piece|
      yield piece
      sleep @pause if @pause.positive?
    end
    @whole = true
  end

  def close = Ledger.write(@whole ? "completed" : "broken", Process.pid, @number, Ledger.micros)
end

class App
  def call(env)
    return [200, { "Content-Length" => "6" }, ["ready\n"]] if env["PATH_INFO"] == "/up"

    id, held = %w[HTTP_X_REQUEST_ID HTTP_X_HELD_MS].map { |name| env[name] || "-" }
    number = Ledger.next_number
    Ledger.write("arrived", Process.pid, number, id, env["REQUEST_METHOD"], RELEASE, Ledger.micros, held)
    answer(env, id, number)
  end

  def answer(env, id, number)
    query = URI.decode_www_form(env["QUERY_STRING"]).to_h
    pause = query["ms"].to_i / 1000.0
    body = body(env, query, id)
    fields = { "X-App-Release" => RELEASE, "X-Request-Id" => id, "X-Body-Crc32" => format("%08x", Zlib.crc32(body)) }
    if env["PATH_INFO"] == "/stream"
      piece = [1, (body.bytesize + PIECES - 1) / PIECES].max
      return [200, fields, Answer.new(number, body.scan(/.{1,#{piece}}/m), pause / PIECES)]
    end
    sleep pause if env["PATH_INFO"] == "/slow"
    [200, fields.merge("Content-Length" => body.bytesize.to_s), Answer.new(number, [body], 0)]
  end

  def body(env, query, id)
    received = env["rack.input"].read
    return format("%d %08x\n", received.bytesize, Zlib.crc32(received)) if env["REQUEST_METHOD"] == "POST"

    size = (query["size"] || 128).to_i
    (id * (size / id.size + 1))[0, size]
  end
end

run App.new
