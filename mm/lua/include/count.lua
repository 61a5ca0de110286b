-- Snippet: integers above 0 from text, and back. Needs whole() and text().
-- Remembered, since few are different in a batch, and reading or writing one is slow.
local counts, digits_of = {}, {}

-- count_of(digits) -> the integer from 1 to 2^53 - 1 that the text is, or nil
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

-- digits(count) -> text(count)
local function digits(count)
  local found = digits_of[count]
  if not found then
    found = text(count)
    digits_of[count] = found
  end
  return found
end
