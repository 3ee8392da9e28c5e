import { describeDriver } from './driver-suite.ts';
import { LibvirtRig } from './libvirt-rig.ts';

describeDriver('libvirt', () => LibvirtRig.open('contract'));
