-- Include: trading modes. A symbol without a word for its mode is active.
--
-- The word is in the symbol's terms, which only an operator writes. What the state service finds is with
-- the position, which only it and a repair write: halted, frozen, and flat after it was to be flattened.
--
--   reducing    only quotes that shrink the position
--   flattening  the same, and halted as soon as the position is flat
--   halted      no quote and no trade
-- An operator sets a mode for all symbols and one for each. The stricter of the two holds. Beside its
-- mode a symbol may be frozen until an instant, by its protection.

local STRICTNESS = { active = 0, reducing = 1, flattening = 1, halted = 2 }

-- own_mode(mode, flattened_ms) -> the symbol's own mode: a flattening one is halted once it was flat
local function own_mode(mode, flattened_ms)
  return mode == 'flattening' and flattened_ms and 'halted' or mode
end

-- strictness(mode) -> a number that is larger for a stricter mode. A word that is no mode is as strict
-- as can be: a foreign program has written it.
local function strictness(mode)
  return STRICTNESS[mode or 'active'] or STRICTNESS.halted
end

-- stricter(mode_of_all, mode) -> the stricter one of the two, which holds
local function stricter(mode_of_all, mode)
  return strictness(mode_of_all) > strictness(mode) and mode_of_all or mode or 'active'
end

-- is_halted(mode_of_all, mode) -> whether the symbol may not be quoted or traded
local function is_halted(mode_of_all, mode)
  return strictness(stricter(mode_of_all, mode)) == STRICTNESS.halted
end

-- no_quote_reason(halted, mode_of_all, mode, frozen_until_ms, now) -> why the symbol may not be quoted, or
-- nil. `halted` is why an integrity error has halted it, or false; frozen_until_ms is text or false.
local function no_quote_reason(halted, mode_of_all, mode, frozen_until_ms, now)
  return halted or is_halted(mode_of_all, mode) and 'by an operator'
    or frozen_until_ms and tonumber(frozen_until_ms) > now and 'by its protection' or nil
end

-- is_reducing(mode_of_all, mode) -> whether a quote must shrink the position
local function is_reducing(mode_of_all, mode)
  return strictness(stricter(mode_of_all, mode)) >= STRICTNESS.reducing
end
