-- Snippet: the one clock, and numbers to and from text.
local MAX_INT = 9007199254740991 -- 2^53 - 1: the largest integer that a Lua number holds exactly

-- now_ms() -> integer milliseconds of the server's clock; call it once, at the top of a script.
local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- text(number) -> its decimal digits; tostring() would print 1e+14. Adding 0 makes -0 a 0, which
-- would print as "-0" and is no integer to the server.
local function text(number)
  return string.format('%.0f', number + 0)
end

-- whole(digits) -> the integer from 0 to MAX_INT that the text is, or nil.
local function whole(digits)
  if digits and #digits <= 16 and string.find(digits, '^%d+$') then
    local number = tonumber(digits)
    if number <= MAX_INT then
      return number
    end
  end
  return nil
end
