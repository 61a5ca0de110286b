-- Include: trading modes. A symbol without a word for its mode is active.
--
--   reducing    only quotes that shrink the position
--   flattening  the same, and halted as soon as the position is flat
--   halted      no quote and no trade
-- An operator sets a mode for all symbols and one for each. The stricter of the two holds.

local STRICTNESS = { active = 0, reducing = 1, flattening = 1, halted = 2 }

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

-- is_reducing(mode_of_all, mode) -> whether a quote must shrink the position
local function is_reducing(mode_of_all, mode)
  return strictness(stricter(mode_of_all, mode)) >= STRICTNESS.reducing
end
