-- Three GETs to one POST.
local number, body = 0, string.rep("x", 2000)
function request()
  number = number + 1
  if number % 4 == 0 then
    return wrk.format("POST", "/", { ["Content-Type"] = "application/octet-stream" }, body)
  end
  return wrk.format("GET", "/?size=1000")
end
