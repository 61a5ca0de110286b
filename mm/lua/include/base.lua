-- Include: the clock of all scripts, and integers to and from text.

local MAX_INT = 9007199254740991 -- 2^53 - 1: the largest integer that a Lua number holds exactly

-- now_ms() -> the server's clock in integer milliseconds. A script calls it once, at its top.
local function now_ms()
  local seconds, microseconds = unpack(redis.call('TIME'))
  return tonumber(seconds) * 1000 + math.floor(tonumber(microseconds) / 1000)
end

-- take_reads(count) -> the first `count` arguments, which name keys that the script only reads, and the
-- other arguments. A server lets a user run a script only if it may write to all of its KEYS. So a key
-- that the script does not write is not one of them.
local function take_reads(count)
  local reads, others = {}, {}
  for index, word in ipairs(ARGV) do
    if index <= count then
      reads[index] = word
    else
      others[index - count] = word
    end
  end
  return reads, others
end

local format = string.format

-- text(number) -> the decimal digits of an integer. tostring() would print 1e+14, and %.0f -0.
local function text(number)
  return format('%d', number)
end

-- whole(digits) -> the integer from 0 to MAX_INT that the text is, or nil
local function whole(digits)
  if digits and #digits <= 16 and string.find(digits, '^%d+$') then
    local number = tonumber(digits)
    if number <= MAX_INT then
      return number
    end
  end
  return nil
end
