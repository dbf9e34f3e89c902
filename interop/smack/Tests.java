// Lists Smack's integration tests, so that none is forgotten: specification, kind, class and method, one test a line.

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.HashSet;
import java.util.Set;
import java.util.TreeSet;
import org.igniterealtime.smack.inttest.AbstractSmackIntTest;
import org.igniterealtime.smack.inttest.AbstractSmackIntegrationTest;
import org.igniterealtime.smack.inttest.AbstractSmackLowLevelIntegrationTest;
import org.igniterealtime.smack.inttest.AbstractSmackSpecificLowLevelIntegrationTest;
import org.igniterealtime.smack.inttest.annotations.SmackIntegrationTest;
import org.igniterealtime.smack.inttest.annotations.SpecificationReference;
import org.reflections.Reflections;
import org.reflections.scanners.SubTypesScanner;

public class Tests {
    public static void main(String[] arguments) {
        // The packages that Smack's own framework looks into.
        Object[] where = {"org.jivesoftware.smackx", "org.jivesoftware.smack",
            "org.igniterealtime.smackx", "org.igniterealtime.smack", new SubTypesScanner()};
        Reflections reflections = new Reflections(where);
        Set<Class<? extends AbstractSmackIntTest>> classes = new HashSet<>();
        classes.addAll(reflections.getSubTypesOf(AbstractSmackIntegrationTest.class));
        classes.addAll(reflections.getSubTypesOf(AbstractSmackLowLevelIntegrationTest.class));
        Set<String> lines = new TreeSet<>();
        for (Class<? extends AbstractSmackIntTest> test : classes) {
            if (Modifier.isAbstract(test.getModifiers())) {
                continue;
            }
            for (Method method : test.getMethods()) {
                SmackIntegrationTest mark = method.getAnnotation(SmackIntegrationTest.class);
                if (mark != null) {
                    lines.add(String.join("\t", specification(test), kind(test, mark), test.getName(), method.getName()));
                }
            }
        }
        lines.forEach(System.out::println);
    }

    private static String specification(Class<?> test) {
        SpecificationReference reference = test.getAnnotation(SpecificationReference.class);
        return reference == null ? "none" : reference.document().trim();
    }

    /** Low-level tests run over every kind of connection, but for those that want the default or bring their own. */
    private static String kind(Class<?> test, SmackIntegrationTest mark) {
        if (AbstractSmackSpecificLowLevelIntegrationTest.class.isAssignableFrom(test)) {
            return "SpecificLowLevel";
        }
        if (AbstractSmackLowLevelIntegrationTest.class.isAssignableFrom(test)) {
            return mark.onlyDefaultConnectionType() ? "LowLevelDefault" : "LowLevel";
        }
        return "Normal";
    }
}
