import org.apache.iotdb.trigger.api.Trigger;
import org.apache.tsfile.write.record.Tablet;

/** Lets everything pass: a trigger whose jar lies under ext/trigger of the sample. */
public class Watcher implements Trigger {
  @Override
  public boolean fire(Tablet tablet) {
    return true;
  }
}
