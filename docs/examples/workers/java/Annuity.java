import java.util.Map;

/**
 * A plain Lambda function in Java: the payment that repays a loan. It knows nothing of stepgrid, and
 * needs nothing but the JDK: Lambda turns the event into a Map, and the answer into JSON.
 *
 * <p>Handler: Annuity::handleRequest. The event: {"loan": 1000, "rate": 0.05, "years": 10}; the
 * result: {"payment": ...} once a year.
 */
public final class Annuity {
    public Map<String, Double> handleRequest(Map<String, Object> event) {
        double loan = number(event, "loan");
        double rate = number(event, "rate");
        double years = number(event, "years");
        if (years <= 0) {
            throw new IllegalArgumentException("years must be above 0");
        }
        double payment = rate == 0 ? loan / years : loan * rate / (1 - Math.pow(1 + rate, -years));
        return Map.of("payment", payment);
    }

    private static double number(Map<String, Object> event, String name) {
        if (event.get(name) instanceof Number) {
            return ((Number) event.get(name)).doubleValue();
        }
        throw new IllegalArgumentException(name + " must be a number");
    }
}
