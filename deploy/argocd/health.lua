-- Health of LLMProvider, CooldownPolicy, ProxyProfile and AlertRule for Argo CD (Lua 5.1, `obj` is the live object).
-- Tells whether the configuration is in force. A provider that cools down or fails its probes is Healthy here: that
-- is the provider's trouble, shown by its status and told by alerts, and no reason to call a deployment broken.
local health = {}

if obj.metadata ~= nil and obj.metadata.deletionTimestamp ~= nil then
  health.status = "Progressing"
  health.message = "being deleted"
  return health
end

local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  health.status = "Progressing"
  health.message = "the operator has not judged generation " .. tostring(obj.metadata.generation) .. " yet"
  return health
end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end

local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function say(word, condition)
  health.status = word
  health.message = condition.reason .. ": " .. condition.message
  return health
end

if holds("Stalled") then
  return say("Degraded", conditions["Stalled"])
end
if holds("Reconciling") then
  return say("Progressing", conditions["Reconciling"])
end
if conditions["Ready"] == nil then
  health.status = "Progressing"
  health.message = "not judged yet"
  return health
end
if not holds("Ready") then
  return say("Progressing", conditions["Ready"])
end

local spec = obj.spec or {}
if spec.enabled == false or spec.suspend == true then
  health.status = "Suspended"
  health.message = spec.suspend == true and "spec.suspend is true" or "spec.enabled is false"
  return health
end

health.status = "Healthy"
health.message = conditions["Ready"].message
if obj.kind == "LLMProvider" and status.phase ~= nil and status.phase ~= "Healthy" then
  health.message = "in force; " .. status.phase
  if status.reason ~= nil then
    health.message = health.message .. " (" .. status.reason .. ")"
  end
elseif obj.kind == "AlertRule" and status.state ~= nil and status.state ~= "Inactive" then
  health.message = "in force; " .. status.state
end
return health
