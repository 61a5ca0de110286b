-- Include: integers above 0 to and from text, remembered within one run of a script.
--
-- A batch has few different numbers, and converting one is slow.

-- INCLUDE base

local counts, digits_of = {}, {}

-- count_of(digits) -> the integer from 1 to MAX_INT that the text is, or nil
local function count_of(digits)
  local count = counts[digits]
  if not count then
    count = whole(digits)
    if count == 0 then
      return nil
    end
    counts[digits] = count
  end
  return count
end

-- digits(count) -> the decimal digits of an integer
local function digits(count)
  local found = digits_of[count]
  if not found then
    found = text(count)
    digits_of[count] = found
  end
  return found
end
