// A plain Lambda function in JavaScript: values a bond. It knows nothing of stepgrid.
//
// The event: {"rate": 0.03, "cash_flows": [{"years": 1, "amount": 5}, ...]}
// The result: {"price", "duration"}; the duration is Macaulay's, in years.

export async function handler(event) {
  if (!Array.isArray(event.cash_flows) || event.cash_flows.length === 0) {
    throw new RangeError("cash_flows must be a list with at least one entry");
  }
  const values = event.cash_flows.map(({ years, amount }) => amount * Math.exp(-event.rate * years));
  const price = values.reduce((sum, value) => sum + value, 0);
  const weighted = values.reduce((sum, value, i) => sum + value * event.cash_flows[i].years, 0);
  return { price, duration: weighted / price };
}
